import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from pipeline_tasks.commands.evaluate import evaluate
from pipeline_tasks.errors import DataError, ValidationFailed
from pipeline_tasks.images.codec import encode_image, encode_mask
from pipeline_tasks.schema import MaskRow, Pair, Sample
from pipeline_tasks.storage import read_rows, write_json, write_rows

PARAMS = Path(__file__).parents[2] / "params.yaml"
TINY = {"threads": 1, "seeds": [0], "steps": 1, "batch_size": 2, "window_px": 32}
TINY |= {"features": [8] * 5, "pairs_per_arm": 2, "device": "cpu"}


def picture(number, *, defective):
    pixels = np.random.default_rng(number).integers(90, 160, (40, 48, 3), dtype=np.uint8)
    mask = np.zeros((40, 48), bool)
    mask[10:18, 20:28] = defective
    pixels[mask] //= 2
    return encode_image(pixels), encode_mask(mask) if defective else None


def sample(split, defect, number):
    path, area = f"{split}/{defect}/{number:03d}.png", 0 if defect == "good" else 64
    images = picture(number, defective=area > 0)
    return Sample("plate", defect, split, path, f"sha of {path}", 9, 48, 40, area, area / 1920, None, *images)


def mask_row(index):
    normal, parent = sample("base", "good", 0), sample("base", "pit", 0)
    warp = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    host, source = (normal.source_path, normal.sha256), (parent.source_path, parent.source_path)
    return MaskRow(index, "plate", "pit", index, *host, "transformed", *source, 0.0, warp, 1, 64, parent.mask)


@pytest.fixture
def options(tmp_path, monkeypatch):
    """A product with three masks and pairs of one defect, in a folder with small parameters."""
    from pipeline_tasks.backends.pairs import make_pairs
    from pipeline_tasks.backends.paste import PasteBackend
    from pipeline_tasks.params import load_params

    values = yaml.safe_load(PARAMS.read_text())
    values["evaluate"] |= TINY
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    monkeypatch.chdir(tmp_path)
    for split in ("base", "test"):
        for defect in ("good", "pit"):
            number = 0 if split == "base" else 10
            write_rows(Path(split, f"{defect}.parquet"), [sample(split, defect, number)], Sample)
    masks = [mask_row(index) for index in range(3)]
    write_rows(Path("masks/pit.parquet"), masks, MaskRow)
    known = {s.source_path: s for d in ("good", "pit") for s in read_rows(Path(f"base/{d}.parquet"), Sample)}
    generate = load_params().generate
    made = make_pairs(PasteBackend(generate, name="inpainting"), masks, known, known, "", generate)
    write_rows(Path("pairs/pit/00000.parquet"), made, Pair)
    write_json(Path("validation.json"), {"verdict": "passed"})
    folders = {name: Path(name) for name in ("base", "test", "masks", "pairs")}
    return folders | {"product": "plate", "validation": Path("validation.json"), "result": Path("result.json")}


@pytest.fixture(autouse=True)
def threads():
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_it_writes_the_scores_of_every_arm_and_prints_the_verdict(options, capsys):
    evaluate(**options)
    result = json.loads(Path("result.json").read_text())
    assert set(result["arms"]) == {"real_only", "real_and_paste", "real_and_inpainting"}
    assert result["arms"]["real_and_paste"]["synthetic_images"] == 2
    assert capsys.readouterr().out == f"plate: undecided. {result['verdict']['sentence']}\n"


def test_pairs_that_failed_the_gate_are_not_evaluated(options):
    write_json(options["validation"], {"verdict": "failed"})
    with pytest.raises(ValidationFailed, match=r"validation\.json: the pairs of 'plate'"):
        evaluate(**options)
    assert not options["result"].exists()


@pytest.mark.parametrize("split", ["base", "test"])
def test_a_missing_split_is_an_error(options, split):
    shutil.rmtree(split)
    with pytest.raises(DataError, match=f"{split}: no samples"):
        evaluate(**options)
