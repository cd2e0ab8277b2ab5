import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline_tasks.drawing import world
from pipeline_tasks.drawing.defect_recipes import Paths, count_in
from pipeline_tasks.drawing.world import HERE, load_world
from pipeline_tasks.errors import ConfigError
from pipeline_tasks.yaml_files import read_yaml, to_yaml


def _crack(**changed: Any) -> dict[str, Any]:
    shape = {"kind": "paths", "length": [0.3, 1.0], "width": [1.0, 3.0]} | changed
    return {"defects": {"crack": {"shape": shape, "look": {"dark": [0.2, 0.5]}}}}


def _load(folder: Path, defects: dict[str, Any]) -> world.World:
    for name in (world.TEXTURES, world.DEFECTS):
        (folder / name).write_text((HERE / name).read_text())
    (folder / world.DEFECTS).write_text(to_yaml(defects))
    return load_world(folder)


def test_a_recipe_is_data(tmp_path: Path) -> None:
    recipe = _load(tmp_path, _crack()).defects["crack"]
    assert isinstance(recipe.shape, Paths)
    assert recipe.shape.width == (1.0, 3.0)
    assert recipe.look.dark == (0.2, 0.5)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"widht": [1.0, 2.0]}, r"crack\.shape.*\.widht: unknown key"),
        ({"width": [3.0, 1.0]}, r"crack\.shape.*\.width: .*above"),
        ({"width": [0.0, 1.0]}, r"crack\.shape.*\.width"),
        ({"taper": [0.0, 1.5]}, r"crack\.shape.*\.taper"),
        ({"forks": [-1, 2]}, r"crack\.shape.*\.forks"),
        ({"kind": "snakes"}, r"crack\.shape: .*snakes"),
    ],
)
def test_a_wrong_recipe_is_refused_naming_file_and_key(tmp_path: Path, changed: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(world.DEFECTS) + ".*" + complaint):
        _load(tmp_path, _crack(**changed))


def test_every_shipped_key_is_known_and_every_kind_of_shape_is_used() -> None:
    shipped = read_yaml(HERE / world.DEFECTS, "")["defects"]
    assert {recipe["shape"]["kind"] for recipe in shipped.values()} == {"paths", "strokes", "blobs"}
    assert set(load_world().defects) == set(shipped)


def test_a_count_may_be_either_of_its_ends() -> None:
    rng = np.random.default_rng(1)
    assert {count_in(rng, (2, 4)) for _ in range(60)} == {2, 3, 4}
    assert count_in(rng, (3, 3)) == 3
