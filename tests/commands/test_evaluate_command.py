import json
import shutil
from pathlib import Path

import pytest
from rows import PROMPTS, mask_row, noisy_sample, pair
from settings import KEEP_ALL, write_settings

from pipeline_tasks.backends.judgement import Failing
from pipeline_tasks.commands.evaluate import evaluate
from pipeline_tasks.errors import DataError, ValidationFailed
from pipeline_tasks.images.codec import decode_mask
from pipeline_tasks.schema import MaskRow, Pair, Rejected, Sample
from pipeline_tasks.storage import read_rows, write_json, write_rows

TINY = {"threads": 1, "seeds": [0], "steps": 1, "batch_size": 2, "window_px": 32}
TINY |= {"features": [8] * 5, "pairs_per_arm": 2}

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def options(tmp_path, monkeypatch):
    """A product with three masks and pairs of one defect, in a folder with small parameters."""
    from pipeline_tasks.backends.judgement import known_defects
    from pipeline_tasks.backends.pairs import make_pairs
    from pipeline_tasks.backends.paste import PasteBackend

    params = write_settings(tmp_path, evaluate=TINY, generate={"keep": KEEP_ALL}).generate
    monkeypatch.chdir(tmp_path)
    for split in ("base", "test"):
        for defect in ("good", "pit"):
            number = 0 if split == "base" else 10
            write_rows(Path(split, f"{defect}.parquet"), [noisy_sample(defect, number, split)], Sample)
    parent = noisy_sample("pit")
    masks = [mask_row(index, decode_mask(parent.mask)) for index in range(3)]
    write_rows(Path("masks/pit.parquet"), masks, MaskRow)
    known = {s.source_path: s for d in ("good", "pit") for s in read_rows(Path(f"base/{d}.parquet"), Sample)}
    paste = PasteBackend(params, name="inpainting")
    made = make_pairs(paste, masks, known, known, PROMPTS, known_defects([parent]), params)
    write_rows(Path("pairs/pit/00000.parquet"), made, Pair)
    write_json(Path("validation.json"), {"verdict": "passed"})
    folders = {name: Path(name) for name in ("base", "test", "masks", "pairs")}
    return folders | {"product": "plate", "validation": Path("validation.json"), "result": Path("result.json")}


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


def test_the_pasted_arm_holds_a_pair_for_each_chosen_mask_even_if_pasting_shows_little(options, tmp_path):
    write_settings(tmp_path, evaluate=TINY, generate={"keep": {"min_alignment": 1.0, "max_similarity": 0.0}})
    evaluate(**options)
    arms = json.loads(Path("result.json").read_text())["arms"]
    assert arms["real_and_paste"]["synthetic_images"] == arms["real_and_inpainting"]["synthetic_images"] == 2


def test_rejected_pairs_are_no_pairs(options):
    hopeless = Rejected(3, "plate", "pit", 3, Failing.LABEL.value, 0.1, 0.0, 0.9, 5.0, 0.0)
    write_rows(Path("pairs/pit/rejected/00000.parquet"), [hopeless], Rejected)
    evaluate(**options)
    assert json.loads(Path("result.json").read_text())["arms"]["real_and_inpainting"]["synthetic_images"] == 2


def test_pairs_of_defects_that_are_learned_on_other_products_are_left_out(options):
    elsewhere = [pair("crack", index, source="tile") for index in range(3)]
    write_rows(Path("pairs/crack/00000.parquet"), elsewhere, Pair)
    evaluate(**options)
    result = json.loads(Path("result.json").read_text())
    assert result["arms"]["real_and_inpainting"]["synthetic_images"] == 2
    assert result["verdict"]["sentence"].endswith(
        " Pairs of crack are left out: 'plate' has no real ones to compare with."
    )


def test_a_product_with_pairs_of_such_defects_alone_has_nothing_to_compare(options):
    for table in ("base/pit", "test/pit", "masks/pit", "pairs/pit/00000"):
        Path(f"{table}.parquet").unlink()
    write_rows(Path("pairs/crack/00000.parquet"), [pair("crack", 0, source="tile")], Pair)
    evaluate(**options)
    verdict = json.loads(Path("result.json").read_text())["verdict"]
    assert verdict["outcome"] == "not_applicable"
    assert verdict["sentence"].startswith("No comparison: the test split holds no defect image. Pairs of crack are")


@pytest.mark.parametrize("split", ["base", "test"])
def test_a_missing_split_is_an_error(options, split):
    shutil.rmtree(split)
    with pytest.raises(DataError, match=f"{split}: no samples"):
        evaluate(**options)
