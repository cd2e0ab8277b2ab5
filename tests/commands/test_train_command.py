import json
from pathlib import Path

import pytest
from rows import sample
from settings import write_settings

from pipeline_tasks import backends
from pipeline_tasks.backends.paste import NothingTrained
from pipeline_tasks.commands.train import train
from pipeline_tasks.schema import GOOD, Sample
from pipeline_tasks.storage import write_json, write_rows


@pytest.fixture
def given(tmp_path, monkeypatch, one_thread):
    """Base samples and prompts of two products, and what a trainer in place of the real one is given."""
    monkeypatch.chdir(tmp_path)
    write_settings(tmp_path, backend={"name": "paste"})
    for product, defects in {"plate": (GOOD, "pit"), "tile": (GOOD, "crack", "pit")}.items():
        for defect in defects:
            write_rows(Path(f"base/{product}/{defect}.parquet"), [sample(defect, product=product)], Sample)
        write_json(Path(f"prompts/{product}.json"), {"defects": {"pit": f"pit {product}"}, "samples": {}})
    Path("pretrained").mkdir()
    seen = []

    class Trainer:
        def train(self, samples, seed, checkpoints, progress):
            defects = [(one.product, one.defect) for one in samples.defects]
            seen.append((defects, [(one.product, one.defect) for one in samples.normals], samples.prompts))
            return NothingTrained()

    monkeypatch.setattr(backends, "load_trainer", lambda params, pretrained: Trainer())
    return seen


def test_a_shared_generator_learns_every_product(given, capsys):
    train("shared", Path("base"), Path("prompts"), Path("pretrained"), Path("model"))
    ((defects, normals, prompts),) = given
    assert defects == [("plate", "pit"), ("tile", "crack"), ("tile", "pit")]
    assert normals == [("plate", GOOD), ("tile", GOOD)]
    assert (prompts.of("plate", "pit", ""), prompts.of("tile", "pit", "")) == ("pit plate", "pit tile")
    assert capsys.readouterr().out == "shared: 0 steps\n"
    assert json.loads(Path("model/curve.json").read_text()) == {"step": [], "loss": []}


def test_a_products_own_generator_learns_that_product_alone(given):
    train("tile", Path("base/tile"), Path("prompts/tile.json"), Path("pretrained"), Path("model"))
    ((defects, normals, prompts),) = given
    assert (defects, normals) == ([("tile", "crack"), ("tile", "pit")], [("tile", GOOD)])
    assert list(prompts.defects) == ["tile"]
