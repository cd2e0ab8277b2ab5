import json
from dataclasses import replace

import numpy as np
import pytest
from rows import noisy_sample, pair
from settings import settings, small_detector

from pipeline_tasks.benefit.trainings import Bench
from pipeline_tasks.detectors.windows import open_scene
from pipeline_tasks.errors import LeakageError
from pipeline_tasks.stages import retrain as stage
from pipeline_tasks.stages.retrain import Champion, Ground, Rival, prepare

DETECTOR = small_detector()
PARAMS = settings(choose={"folds": 2, "repeats": 2, "draws": 20, "normals": 2, "pairs_per_arm": 4})
BASE = [noisy_sample(defect, number) for defect in ("good", "pit", "dent") for number in range(2)]
TEST = [noisy_sample(defect, number, "test") for defect in ("good", "pit") for number in (10, 11)]
GROUND = Ground("plate", BASE, TEST, PARAMS.choose, PARAMS.masks.perlin, 3)
MIXED = {"pit": "inpainting_50"}

pytestmark = pytest.mark.usefixtures("one_thread")


class Memory:
    """A shelf that counts what was made for it."""

    def __init__(self):
        self.kept, self.made = {}, 0

    def arrays(self, key, make):
        if key not in self.kept:
            self.kept[key], self.made = make(), self.made + 1
        return self.kept[key]


@pytest.fixture
def shelf():
    return Memory()


def pairs(first=100):
    shown = [noisy_sample("pit", first + index) for index in range(3)]
    return {"inpainting": lambda: (pair("pit", i, image=s.image, mask=s.mask) for i, s in enumerate(shown))}


def lesson(arms=MIXED, given=None, detector=DETECTOR, ground=GROUND):
    return prepare(ground, detector, "inpainting", arms, pairs() if given is None else given)


REAL = lesson({}, {})


def run(shelf, ours, rival=None, seed=0, ground=GROUND, advance=int):
    bench = Bench(DETECTOR, "unet", shelf, lambda: 0.0, advance)
    return stage.run(ground, "unet", ours, rival or Rival(REAL, None), bench, seed)


def gains(made):
    return made.record["out_of_fold"]["against"]["per_run"]


def champion(number="2", base_digest=REAL.base_digest):
    return Champion(number, "a1b2", base_digest, stage._train("unet", REAL, 7))


def test_a_defect_without_an_arm_is_trained_as_the_incumbent_says():
    assert lesson().arms == {"dent": "real_flip", "pit": "inpainting_50"}
    assert lesson({**MIXED, "gone": "inpainting_50"}).arms == lesson().arms, "the base set shows no such defect"
    assert len(lesson().material.ingredients(lesson().recipe)) == 3


@pytest.mark.parametrize("column", ["normal_path", "parent_a", "parent_b", "normal_sha256"])
def test_a_pair_that_comes_from_a_test_image_is_refused(column):
    leaking = {column: TEST[2].sha256 if column == "normal_sha256" else TEST[2].source_path}
    with pytest.raises(LeakageError, match=r"pair plate/pit/000007.*test split"):
        lesson(given={"inpainting": lambda: [pair("pit", 7, **leaking)]})


def test_a_test_image_among_the_base_images_is_refused():
    with pytest.raises(LeakageError, match=r"test/pit/010\.png"):
        lesson(ground=replace(GROUND, base=[*BASE, replace(TEST[2], split="base")]))


@pytest.mark.parametrize(
    "other",
    [
        lesson(given=pairs(200)),
        lesson({"pit": "inpainting_25"}),
        lesson(detector=small_detector(steps=3)),
        lesson(ground=replace(GROUND, base=BASE[:-1])),
    ],
)
def test_a_digest_is_of_all_that_decides_what_is_learned(other):
    assert other.digest("unet", 0) != lesson().digest("unet", 0)


def test_and_of_nothing_else():
    ours = lesson()
    assert lesson(detector=small_detector(device="cuda", draem={"steps": 9})).digest("unet", 0) == ours.digest(
        "unet", 0
    )
    assert lesson(detector=small_detector(draem={"steps": 9})).digest("draem", 0) != ours.digest("draem", 0)
    assert len({ours.digest("unet", 0), ours.digest("unet", 1), ours.digest("draem", 0)}) == 3


def test_the_first_detector_is_compared_with_the_incumbent(shelf):
    advanced = []
    made = run(shelf, lesson(), advance=lambda: advanced.append(1))
    record = json.loads(json.dumps(made.record))
    assert record["against"] | {"arms": None} == {
        "number": None,
        "version": None,
        "generator": "inpainting",
        "arms": None,
        "same_mixture": False,
        "same_base": True,
    }
    assert set(record["against"]["arms"].values()) == {"real_flip"}
    assert (record["base"], record["test_images"]) == ({"dent": 2, "good": 2, "pit": 2}, {"good": 2, "pit": 2})
    assert record["synthetic"] == {"pit": 3}
    found = record["out_of_fold"]
    assert record["folds"] == 2
    for repeat, gain in enumerate(gains(made)):
        values = [found[who]["pixel_ap"]["values"][repeat] for who in ("ours", "theirs")]
        assert values[0] - values[1] == pytest.approx(gain, abs=2e-6)
    assert set(found["ours"]["per_defect"]) == {"dent", "pit"}
    assert (made.ruling.standing == "champion") == (found["against"]["high"] >= 0)
    assert 0 <= record["test"]["ours"]["pixel_ap"] <= 1 and record["test"]["theirs"] is None
    assert (shelf.made, len(advanced)) == (8, 9), "two folds, twice, of two mixtures; then the whole base set"


def test_the_detector_learns_from_the_whole_base_set_and_its_seed_alone(shelf):
    ours = lesson()
    maps = [run(shelf, ours, seed=seed).localiser.score_map(scene()) for seed in (5, 5, 6)]
    np.testing.assert_array_equal(maps[0], maps[1])
    assert np.abs(maps[0] - maps[2]).max() > 0


def scene():
    return open_scene(TEST[0].image, None, 64)


def test_the_champion_is_compared_by_its_mixture_on_the_same_folds_and_tested_itself(shelf):
    theirs = champion()
    made = run(shelf, lesson(), Rival(lesson({"dent": "real"}, {}), theirs))
    assert made.record["against"]["arms"] == {"dent": "real", "pit": "real_flip"}
    assert (made.record["against"]["number"], made.record["against"]["version"]) == ("2", "a1b2")
    alone = run(shelf, REAL, Rival(REAL, theirs)).record["test"]
    assert made.record["test"]["theirs"] == alone["theirs"] != made.record["test"]["ours"]
    assert f"the champion, version {theirs.number}" in made.ruling.reason


@pytest.mark.parametrize(
    ("base_digest", "standing"), [(REAL.base_digest, "challenger"), ("that of fewer images", "champion")]
)
def test_the_same_mixture_is_trained_once_for_both(shelf, base_digest, standing):
    made = run(shelf, lesson(), Rival(lesson(), champion(base_digest=base_digest)))
    assert made.record["against"]["same_mixture"] and gains(made) == [0.0, 0.0]
    assert (shelf.made, made.ruling.standing) == (4, standing)


def test_the_champion_is_compared_with_the_settings_that_it_was_trained_with(shelf):
    other = lesson(detector=small_detector(steps=1))
    made = run(shelf, lesson(), Rival(other, champion()))
    assert not made.record["against"]["same_mixture"]
    assert shelf.made == 8 and gains(made) != [0.0, 0.0]


def test_a_detector_of_before_is_judged_as_a_new_one_would_be_without_training_it(shelf, monkeypatch):
    rival = Rival(REAL, champion())
    made = run(shelf, lesson(), rival)
    monkeypatch.setattr(stage, "train_localiser", lambda *_: pytest.fail("trained again"))
    bench = Bench(DETECTOR, "unet", shelf, lambda: 0.0, int)
    assert stage.judge(GROUND, "unet", lesson(), rival, bench, 0) == made.ruling


def test_without_test_images_nothing_is_scored_on_them(shelf):
    ground = replace(GROUND, test=[])
    made = run(shelf, lesson(ground=ground), ground=ground)
    tested = made.record["test"]["ours"]
    assert set(tested) > {"pixel_ap", "per_defect"} and not any(tested.values())
    assert not any("/test/" in name for name in stage.metrics(made.record))


def test_where_one_part_alone_shows_a_defect_nothing_is_compared(shelf):
    ground = replace(GROUND, base=[s for s in BASE if s.defect == "good" or s.source_path.endswith("000.png")])
    made = run(shelf, lesson(ground=ground), Rival(lesson({}, {}, ground=ground), None), ground=ground)
    assert made.record["out_of_fold"] == {"ours": None, "theirs": None, "against": None, "unmeasured": stage.UNSHOWN}
    assert (made.record["folds"], made.ruling.standing) == (0, "challenger")
    assert made.record["test"]["ours"]["pixel_ap"] > 0


def test_metrics_are_named_by_detector_and_split(shelf):
    made = run(shelf, lesson(), Rival(REAL, champion()))
    found = stage.metrics(made.record)
    ours = made.record["test"]["ours"]
    assert found["unet/out_of_fold/pixel_ap"] == made.record["out_of_fold"]["ours"]["pixel_ap"]["mean"]
    assert (found["unet/test/pixel_ap"], found["unet/test/pit/pro"]) == (
        ours["pixel_ap"],
        ours["per_defect"]["pit"]["pro"],
    )
    assert found["unet/test_of_champion/pixel_ap"] == made.record["test"]["theirs"]["pixel_ap"]
    assert all(isinstance(value, float) for value in found.values())
