import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline_tasks.drawing.world import HERE, load_world
from pipeline_tasks.errors import ConfigError


def world_with(tmp_path: Path, file: str, *keys: str, value: Any) -> Path:
    """Copy the world's files, a value changed."""
    for name in ("textures.yaml", "defects.yaml"):
        shutil.copy(HERE / name, tmp_path / name)
    values = yaml.safe_load((tmp_path / file).read_text())
    place = values
    for key in keys[:-1]:
        place = place[int(key) if key.isdigit() else key]
    place[keys[-1]] = value
    (tmp_path / file).write_text(yaml.safe_dump(values))
    return tmp_path


def test_the_world_is_wide() -> None:
    world = load_world()
    assert len(world.textures) >= 25
    assert len(world.defects) >= 15
    assert world.texture_weights.keys() == world.textures.keys()
    assert world.defect_weights.keys() == world.defects.keys()
    assert 0.3 < world.camera.monochrome < 0.6


@pytest.mark.parametrize(
    ("keys", "value", "reason"),
    [
        (("textures", "wood", "zoom"), [3, 1], "textures.wood.zoom: the lower bound 3"),
        (("textures", "wood", "layers", "0", "width"), [0, 4], "textures.wood.layers.0.bands.width.0: "),
        (("textures", "wood", "layers", "0", "kind"), "knots", "textures.wood.layers.0: "),
        (("textures", "wood", "glow"), 1, "textures.wood.glow: unknown key"),
        (("studio", "edge", "share"), 1.5, "studio.edge.share: "),
        (("camera", "noise"), "loud", "camera.noise: "),
        (("textures",), {}, "textures: "),
    ],
)
def test_wrong_values_are_told_with_file_and_key(
    tmp_path: Path, keys: tuple[str, ...], value: Any, reason: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_world(world_with(tmp_path, "textures.yaml", *keys, value=value))
    assert f"textures.yaml: {reason}" in str(caught.value)


def test_wrong_defects_are_told_with_file_and_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"defects\.yaml: defects: "):
        load_world(world_with(tmp_path, "defects.yaml", "defects", value={}))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"textures\.yaml: missing"):
        load_world(tmp_path)
