import csv
import json
import shutil
from pathlib import Path

import pytest
from choices import choice, lift
from interruptions import counted, killed_at
from rows import MADE_BY, PROMPTS, mask_row, noisy_sample, pair
from settings import KEEP_ALL, SMALL_DETECTOR, write_settings

from pipeline_tasks.backends.judgement import Failing
from pipeline_tasks.benefit import likeness, trainings
from pipeline_tasks.commands.evaluate import evaluate
from pipeline_tasks.commands.ingredients import pairs_by_source, read_samples, spread_over_defects
from pipeline_tasks.errors import DataError, ValidationFailed
from pipeline_tasks.images.codec import decode_mask
from pipeline_tasks.schema import GOOD, MaskRow, Pair, Rejected, Sample
from pipeline_tasks.storage import read_rows, write_json, write_rows

TINY = {"threads": 1, "seeds": [0], "pairs_per_arm": 2, "draws": 50, "budget_minutes": 0.0}
TINY |= {"arms": ["real_flip", "generator_50", "paste_50"], "detectors": ["unet"], "generation": {"view_px": 32}}
SECTIONS = {"evaluate": TINY, "detector": SMALL_DETECTOR, "generate": {"keep": KEEP_ALL}}
ARMS = ["chosen", "inpainting_50", "paste_50", "real_flip"]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def options(tmp_path, monkeypatch):
    """A product with three masks and pairs of one defect, in a folder with small parameters."""
    from pipeline_tasks.backends.judgement import known_defects
    from pipeline_tasks.backends.pairs import make_pairs
    from pipeline_tasks.backends.paste import PasteBackend

    params = write_settings(tmp_path, **SECTIONS).generate
    monkeypatch.chdir(tmp_path)
    for split in ("base", "test"):
        for defect in (GOOD, "pit"):
            number = 0 if split == "base" else 10
            write_rows(Path(split, f"{defect}.parquet"), [noisy_sample(defect, number, split)], Sample)
    parent = noisy_sample("pit")
    masks = [mask_row(index, decode_mask(parent.mask)) for index in range(3)]
    write_rows(Path("masks/pit.parquet"), masks, MaskRow)
    known = {s.source_path: s for s in read_samples(Path("base"))}
    paste = PasteBackend(params, name="inpainting")
    made = make_pairs(paste, masks, known, known, PROMPTS, known_defects([parent]), params, MADE_BY)
    write_rows(Path("pairs/pit/00000.parquet"), made, Pair)
    write_json(Path("validation.json"), {"verdict": "passed"})
    write_json(Path("choice.json"), choice(lift(0.03)))
    files = {name: Path(f"{name}.json") for name in ("choice", "validation", "result")}
    folders = {name: Path(name) for name in ("base", "test", "masks", "pairs")}
    return folders | files | {"product": "plate", "curves": Path("curves/plate.csv")}


def result():
    return json.loads(Path("result.json").read_text())


def synthetic_images():
    return {name: arm["synthetic_images"] for name, arm in result()["detectors"]["unet"]["arms"].items()}


def test_it_writes_the_scores_of_every_arm_and_prints_the_verdict(options, capsys):
    evaluate(**options)
    assert sorted(result()["detectors"]["unet"]["arms"]) == ARMS
    assert synthetic_images() == {"real_flip": 0, "chosen": 2, "inpainting_50": 2, "paste_50": 2}
    verdict = result()["verdict"]
    assert verdict["outcome"] in {"better", "worse", "undecided"}
    assert capsys.readouterr().out == f"plate: {verdict['outcome']}. {verdict['sentence']}\n"


def test_the_curves_of_every_arm_are_a_table(options):
    evaluate(**options)
    with options["curves"].open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["arm", "recall", "precision"]
    assert sorted({row["arm"] for row in rows}) == ARMS
    assert all(0 <= float(row[name]) <= 1 for row in rows for name in ("recall", "precision"))


def test_pairs_that_failed_the_gate_are_not_evaluated(options):
    write_json(options["validation"], {"verdict": "failed"})
    with pytest.raises(ValidationFailed, match=r"validation\.json: the pairs of 'plate'"):
        evaluate(**options)
    assert not options["result"].exists()


def test_without_a_choice_nothing_is_evaluated(options):
    options["choice"].unlink()
    with pytest.raises(DataError, match=r"choice\.json"):
        evaluate(**options)


def test_a_killed_run_goes_on_where_it_was_and_writes_the_same(options):
    with counted(trainings, "train_localiser") as unbroken:
        evaluate(**options)
    assert len(unbroken) == 3  # what was chosen is an arm itself
    expected = [options[name].read_bytes() for name in ("result", "curves")]
    shutil.rmtree(".work")
    options["result"].unlink()
    with killed_at(3, trainings, "train_localiser"):
        evaluate(**options)
    assert not options["result"].exists()
    with counted(trainings, "train_localiser") as rest:
        evaluate(**options)
    assert [options[name].read_bytes() for name in ("result", "curves")] == expected
    assert len(rest) == 1


def test_what_is_trained_to_plan_by_is_not_trained_again(options, tmp_path):
    write_settings(tmp_path, **SECTIONS | {"evaluate": TINY | {"budget_minutes": 60.0}})
    with counted(trainings, "train_localiser") as trained:
        evaluate(**options)
    assert len(trained) == 3


def test_another_device_or_section_of_another_kind_repeats_nothing(options, tmp_path):
    evaluate(**options)
    write_settings(tmp_path, **SECTIONS | {"detector": SMALL_DETECTOR | {"device": "auto", "draem": {"steps": 3}}})
    with counted(trainings, "train_localiser") as again:
        evaluate(**options)
    assert again == []


def test_a_classifier_opens_images_no_larger_than_it_needs(options, tmp_path, monkeypatch):
    detector = SMALL_DETECTOR | {"max_image_px": 400}
    write_settings(tmp_path, **SECTIONS | {"detector": detector, "evaluate": TINY | {"detectors": ["classifier"]}})
    opened, real = [], trainings.open_scene
    monkeypatch.setattr(trainings, "open_scene", lambda image, mask, most: opened.append(most) or real(image, mask, 64))
    evaluate(**options)
    assert set(opened) == {2 * SMALL_DETECTOR["classifier"]["resolution_px"]}


def test_a_kill_after_the_last_training_loses_none_of_them(options):
    with killed_at(1, likeness, "train_classifier"):
        evaluate(**options)
    with counted(trainings, "train_localiser") as rest:
        evaluate(**options)
    assert rest == []


def test_the_pasted_arm_holds_a_pair_for_each_chosen_mask_even_if_pasting_shows_little(options, tmp_path):
    strict = {"keep": {"min_alignment": 1.0, "max_similarity": 0.0}}
    write_settings(tmp_path, **SECTIONS | {"generate": strict})
    evaluate(**options)
    assert synthetic_images()["paste_50"] == synthetic_images()["inpainting_50"] == 2


def test_pasted_and_generated_pairs_have_the_same_masks_and_hosts(options, tmp_path):
    base, generate = read_samples(options["base"]), write_settings(tmp_path, **SECTIONS).generate
    sources = pairs_by_source("plate", options["pairs"], options["masks"], base, "inpainting", 2, generate)
    pasted, generated = (list(sources[name]()) for name in ("paste", "inpainting"))
    assert [one.pair_index for one in generated] == [0, 1]
    for one, other in zip(pasted, generated, strict=True):
        assert (one.pair_id, one.mask, one.normal_path) == (other.pair_id, other.mask, other.normal_path)
    assert {one.backend for one in pasted} == {"paste"}


def test_where_the_generator_pastes_its_own_pairs_are_taken(options, tmp_path):
    base, generate = read_samples(options["base"]), write_settings(tmp_path, **SECTIONS).generate
    sources = pairs_by_source("plate", options["pairs"], options["masks"], base, "paste", 2, generate)
    assert list(sources) == ["paste"]
    kept = [one for one in read_rows(Path("pairs/pit/00000.parquet"), Pair) if one.pair_index < 2]
    assert list(sources["paste"]()) == kept


def test_rejected_pairs_are_no_pairs(options):
    hopeless = Rejected(3, "plate", "pit", 3, Failing.LABEL.value, 0.1, 0.0, 0.9, 5.0, 0.0)
    write_rows(Path("pairs/pit/rejected/00000.parquet"), [hopeless], Rejected)
    evaluate(**options)
    assert synthetic_images()["inpainting_50"] == 2


def test_pairs_of_defects_that_are_learned_on_other_products_are_left_out(options):
    elsewhere = [pair("crack", index, source="tile") for index in range(3)]
    write_rows(Path("pairs/crack/00000.parquet"), elsewhere, Pair)
    evaluate(**options)
    assert synthetic_images()["inpainting_50"] == 2
    assert result()["verdict"]["sentence"].endswith(
        " Pairs of crack are left out: 'plate' has no real ones to compare with."
    )


def test_a_product_with_pairs_of_such_defects_alone_has_nothing_to_compare(options):
    for table in ("base/pit", "test/pit", "masks/pit", "pairs/pit/00000"):
        Path(f"{table}.parquet").unlink()
    write_rows(Path("pairs/crack/00000.parquet"), [pair("crack", 0, source="tile")], Pair)
    write_json(Path("choice.json"), choice(None, defects={}))
    evaluate(**options)
    verdict = result()["verdict"]
    assert verdict["outcome"] == "not_applicable"
    assert verdict["sentence"].startswith("No comparison: the test split holds no defect image. Pairs of crack are")
    assert options["curves"].read_text() == "arm,recall,precision\n"


@pytest.mark.parametrize("split", ["base", "test"])
def test_a_missing_split_is_an_error(options, split):
    shutil.rmtree(split)
    with pytest.raises(DataError, match=f"{split}: no samples"):
        evaluate(**options)


def test_pairs_are_chosen_evenly_over_defects_and_indices():
    chosen = spread_over_defects({"pit": range(100), "scratch": [8, 2, 5], "stain": []}, 12)
    assert chosen == {"pit": {0, 25, 50, 75}, "scratch": {2, 5, 8}, "stain": set()}
    assert spread_over_defects({"pit": [4], "scratch": [6]}, 1) == {"pit": {4}, "scratch": {6}}
    assert spread_over_defects({}, 5) == {}
