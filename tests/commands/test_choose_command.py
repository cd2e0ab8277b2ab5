import json
from pathlib import Path

import pytest
from interruptions import counted, killed_at
from rows import mask_row, noisy_sample, pair
from settings import KEEP_ALL, SMALL_DETECTOR, write_settings

from pipeline_tasks.benefit import trainings
from pipeline_tasks.commands.choose import choose
from pipeline_tasks.errors import DataError, LeakageError
from pipeline_tasks.images.codec import decode_mask
from pipeline_tasks.schema import GOOD, MaskRow, Pair, Sample
from pipeline_tasks.storage import write_rows

TINY = {"arms": ["real_flip", "paste_50", "generator_50"], "folds": 2, "repeats": 2, "draws": 50}
TINY |= {"pairs_per_arm": 4, "budget_minutes": 0.0, "min_ap": 0.0}

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def options(tmp_path, monkeypatch):
    """A product with two pits, three normal images and pairs, in a folder with small parameters."""
    write_settings(tmp_path, choose=TINY, detector=SMALL_DETECTOR, generate={"keep": KEEP_ALL})
    monkeypatch.chdir(tmp_path)
    for defect, count in ((GOOD, 3), ("pit", 2)):
        write_rows(Path(f"base/{defect}.parquet"), [noisy_sample(defect, n) for n in range(count)], Sample)
    shown = [noisy_sample("pit", n % 2) for n in range(6)]
    parents = [{"parent_a": one.source_path, "parent_b": one.source_path} for one in shown]
    hosts = [f"base/good/{n % 3:03d}.png" for n in range(6)]
    rows = [mask_row(n, decode_mask(shown[n].mask), normal_path=hosts[n], **parents[n]) for n in range(6)]
    write_rows(Path("masks/pit.parquet"), rows, MaskRow)
    images = [{"image": shown[n].image, "mask": shown[n].mask, "normal_path": hosts[n]} for n in range(6)]
    write_rows(Path("pairs/pit/00000.parquet"), [pair("pit", n, **images[n], **parents[n]) for n in range(6)], Pair)
    folders = {name: Path(name) for name in ("base", "masks", "pairs")}
    return folders | {"product": "plate", "choice": Path("choice.json")}


def result():
    return json.loads(Path("choice.json").read_text())


def test_it_writes_the_choice_and_prints_it(options, capsys):
    choose(**options)
    found = result()
    assert set(found["arms"]) == {"real_flip", "paste_50", "inpainting_50"}
    pit = found["defects"]["pit"]
    assert capsys.readouterr().out == f"plate/pit: {pit['outcome']}, train {pit['arm']}. {pit['reason']}\n"


def test_what_was_left_out_is_printed(options, capsys, tmp_path):
    write_settings(tmp_path, choose=TINY | {"budget_minutes": 1e-9}, detector=SMALL_DETECTOR)
    choose(**options)
    left_out = result()["left_out"]
    assert [sentence.split(":")[0] for sentence in left_out] == ["arm inpainting_50", "1 of 2 repeats"]
    assert capsys.readouterr().out.endswith("".join(f"plate: left out: {sentence}\n" for sentence in left_out))


@pytest.mark.parametrize("at", [1, 5])
def test_a_killed_run_goes_on_where_it_was_and_writes_the_same(options, at):
    with counted(trainings, "train_localiser") as unbroken:
        choose(**options)
    expected = Path("choice.json").read_bytes()
    assert len(unbroken) == 3 * 2 * 2
    forget(options)
    with killed_at(at, trainings, "train_localiser"):
        choose(**options)
    assert not options["choice"].exists()
    with counted(trainings, "train_localiser") as rest:
        choose(**options)
    assert Path("choice.json").read_bytes() == expected
    assert len(rest) == len(unbroken) - (at - 1)


def test_what_is_trained_to_plan_by_is_not_trained_again(options, tmp_path):
    write_settings(tmp_path, choose=TINY | {"budget_minutes": 60.0}, detector=SMALL_DETECTOR)
    with counted(trainings, "train_localiser") as trained:
        choose(**options)
    assert result()["left_out"] == []
    assert len(trained) == 3 * 2 * 2


def test_the_next_run_trains_only_what_has_changed(options):
    choose(**options)
    with counted(trainings, "train_localiser") as again:
        choose(**options)
    assert again == []
    images = noisy_sample("pit", 77)
    changed = [pair("pit", n, image=images.image, mask=images.mask) for n in range(6)]
    write_rows(Path("pairs/pit/00000.parquet"), changed, Pair)
    with counted(trainings, "train_localiser") as again:
        choose(**options)
    assert 0 < len(again) <= 4  # the generator's arm alone


def test_scores_of_earlier_pairs_are_not_kept_for_ever(options):
    choose(**options)
    kept = sorted(Path(".work/choose/plate").rglob("*.npz"))
    write_rows(Path("pairs/pit/00000.parquet"), [pair("pit", n) for n in range(6)], Pair)
    choose(**options)
    now = sorted(Path(".work/choose/plate").rglob("*.npz"))
    assert len(now) <= len(kept) == 12
    assert now != kept


def test_pairs_of_defects_that_are_learned_on_other_products_are_left_out(options):
    write_rows(Path("pairs/crack/00000.parquet"), [pair("crack", n, source="tile") for n in range(3)], Pair)
    choose(**options)
    assert set(result()["defects"]) == {"pit"}


def test_where_nothing_can_be_chosen_the_choice_says_why(options, capsys):
    write_rows(Path("base/pit.parquet"), [noisy_sample("pit", 0)], Sample)
    write_rows(Path("pairs/pit/00000.parquet"), [pair("pit", 0)], Pair)
    write_rows(Path("masks/pit.parquet"), [mask_row(0, decode_mask(noisy_sample("pit").mask))], MaskRow)
    choose(**options)
    assert result()["defects"]["pit"]["outcome"] == "undecidable"
    assert "No defect is shown by two parts or more" in result()["reason"]
    assert capsys.readouterr().out == (
        "plate/pit: undecidable, train real_flip. One part shows it: it cannot be learned from and left out at once.\n"
        "plate: nothing was measured. No defect is shown by two parts or more, one to learn from and one to be left "
        "out.\n"
    )


def test_without_pairs_of_its_own_real_arms_are_measured(options):
    Path("pairs/pit/00000.parquet").unlink()
    choose(**options)
    assert list(result()["arms"]) == ["real_flip"]
    assert [sentence.split(":")[0] for sentence in result()["left_out"]] == ["arm paste_50", "arm inpainting_50"]


def test_test_samples_are_refused(options):
    write_rows(Path("base/scratch.parquet"), [noisy_sample("scratch", 0, "test")], Sample)
    with pytest.raises(LeakageError, match=r"choose: 'plate/test/scratch/000\.png' is a test sample"):
        choose(**options)
    assert not options["choice"].exists()


def test_missing_samples_are_an_error(options):
    for file in options["base"].iterdir():
        file.unlink()
    with pytest.raises(DataError, match="base: no samples"):
        choose(**options)


def forget(options):
    """Remove the result and what was kept of the run."""
    options["choice"].unlink()
    for file in Path(".work").rglob("*.npz"):
        file.unlink()
