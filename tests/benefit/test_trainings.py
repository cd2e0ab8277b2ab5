from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from benches import CLASSIC, FLIP, MADE, PASTE, MemoryShelf, piece
from interruptions import counted
from rows import noisy_sample
from settings import small_detector

from pipeline_tasks.benefit import trainings
from pipeline_tasks.benefit.arms import Arm
from pipeline_tasks.benefit.material import Material, real_piece
from pipeline_tasks.benefit.trainings import Bench
from pipeline_tasks.schema import GOOD

PARAMS = small_detector()
BASE = [noisy_sample(defect, n) for defect in (GOOD, "pit") for n in range(2)]
IMAGES = [noisy_sample(defect, 10) for defect in (GOOD, "pit")]
REAL = [real_piece(one, 64) for one in BASE]
PAIRS = [replace(real_piece(noisy_sample("pit", n), 64), path=f"plate/pit/{n}") for n in (20, 21)]
MATERIAL = Material(REAL, {"inpainting": PAIRS, "paste": PAIRS[:1]})
RECIPE = {"pit": MADE}

pytestmark = pytest.mark.usefixtures("one_thread")


def bench(shelf=None, params=PARAMS, kind="unet", clock=lambda: 0.0, advance=lambda: None):
    return Bench(params, kind, MemoryShelf() if shelf is None else shelf, clock, advance)


class Keys:
    """A shelf that only tells what it is asked for."""

    def __init__(self):
        self.asked = []

    def arrays(self, key, _):
        self.asked.append(key)
        return {}

    seconds = arrays


def key(material=MATERIAL, recipe=RECIPE, seed=1, images=IMAGES, **about):
    shelf = Keys()
    bench(shelf, **about).arrays(material, recipe, seed, images)
    return shelf.asked[0]


def values(found):
    return [(one.source_path, one.defect, one.counts.tolist(), one.regions, one.image_score) for one in found]


def test_every_image_is_scored_whole_in_the_given_order():
    found = bench().scores(MATERIAL, RECIPE, 1, IMAGES)
    assert [(one.source_path, one.defect) for one in found] == [(one.source_path, one.defect) for one in IMAGES]
    assert [int(one.counts.sum()) for one in found] == [40 * 48] * 2
    assert [int(one.counts[1].sum()) for one in found] == [0, 64]


def test_what_was_trained_before_is_looked_up_and_equals_what_a_fresh_training_gives():
    shelf, advanced = MemoryShelf(), []
    benches = [
        bench(shelf, advance=lambda: advanced.append(1)),
        bench(shelf, advance=lambda: advanced.append(1)),
        bench(),
    ]
    first, again, fresh = (values(one.scores(MATERIAL, RECIPE, 1, IMAGES)) for one in benches)
    assert first == again == fresh
    assert len(shelf.made) == 1
    assert len(advanced) == 2


def test_another_seed_or_arm_gives_other_scores():
    found = [
        values(bench().scores(MATERIAL, {"pit": arm}, seed, IMAGES)) for arm, seed in ((MADE, 1), (FLIP, 1), (MADE, 2))
    ]
    assert found[0] != found[1] != found[2] != found[0]


@pytest.mark.parametrize(
    "change",
    [
        {"recipe": {"pit": PASTE}},
        {"recipe": {"pit": Arm("inpainting", 60, "flip")}},
        {"recipe": {"pit": CLASSIC}},
        {"seed": 2},
        {"images": IMAGES[:1]},
        {"images": IMAGES[::-1]},
        {"images": [replace(IMAGES[0], image=BASE[0].image), IMAGES[1]]},
        {"images": [IMAGES[0], replace(IMAGES[1], mask=None)]},
        {"params": small_detector(steps=3)},
        {"kind": "draem"},
        {"material": Material(REAL[1:], MATERIAL.made)},
        {"material": Material(REAL, {"inpainting": PAIRS[:1], "paste": PAIRS[:1]})},
        {"material": Material(REAL, {"inpainting": PAIRS[::-1], "paste": PAIRS[:1]})},
        {"material": Material([replace(REAL[0], digest="0"), *REAL[1:]], MATERIAL.made)},
    ],
)
def test_whatever_decides_the_scores_decides_what_is_looked_up(change):
    assert key(**change) != key()


@pytest.mark.parametrize(
    "change",
    [
        {"material": Material(REAL, {"inpainting": PAIRS, "paste": []})},
        {"material": Material(REAL, {"inpainting": [*PAIRS, piece("crack", "9")]})},
        {"recipe": {"pit": Arm.read("generator_50_flip", "inpainting")}},
    ],
)
def test_what_an_arm_does_not_draw_on_does_not_matter(change):
    assert key(**change) == key()


@pytest.mark.parametrize(
    ("kind", "own", "others"),
    [
        ("unet", {"steps": 3}, [{"draem": {"steps": 3}}, {"classifier": {"steps": 3}}]),
        ("draem", {"draem": {"steps": 3}}, [{"classifier": {"steps": 3}}]),
        ("classifier", {"classifier": {"steps": 3}}, [{"draem": {"steps": 3}}]),
    ],
)
def test_the_device_and_the_parameters_of_other_kinds_do_not_matter(kind, own, others):
    expected = key(kind=kind)
    assert key(kind=kind, params=small_detector(**own)) != expected
    for change in [*others, {"device": "cuda"}]:
        assert key(kind=kind, params=small_detector(**change)) == expected


def test_a_duration_is_kept_by_what_bears_on_it():
    def asked(**about):
        shelf = Keys()
        bench(shelf, **about).seconds(MATERIAL, RECIPE, 1, IMAGES)
        return shelf.asked

    others = small_detector(device="cuda", draem={"steps": 3})
    assert asked() == asked(params=others) != asked(params=small_detector(steps=3))


def test_a_defect_whose_real_images_are_all_left_out_is_no_trouble():
    """Nor is it without pairs, without normal images, or with a single image in all."""
    for real in (REAL[:2], REAL[2:], REAL[2:3], REAL[:1]):
        for made in ({"inpainting": PAIRS}, {}):
            assert len(bench().scores(Material(real, made), RECIPE, 1, IMAGES)) == 2


def test_a_classifier_gives_probabilities_of_its_classes():
    found = bench(kind="classifier").arrays(MATERIAL, RECIPE, 1, IMAGES)
    assert found["classes"].tolist() == ["pit", GOOD]
    assert found["probabilities"].sum(axis=1) == pytest.approx([1, 1])


def test_the_duration_is_measured_once_and_then_kept():
    shelf, ticks = MemoryShelf(), count(0, 7)
    timed = [bench(shelf, clock=lambda: float(next(ticks))).seconds(MATERIAL, RECIPE, 1, IMAGES) for _ in range(2)]
    assert timed == [7, 7]
    assert next(ticks) == 14


@pytest.mark.parametrize("kind", ["unet", "classifier"])
def test_what_was_trained_to_measure_the_duration_is_not_trained_again(kind):
    with counted(trainings, "train_classifier" if kind == "classifier" else "train_localiser") as trained:
        one = bench(kind=kind)
        one.seconds(MATERIAL, RECIPE, 1, IMAGES)
        found = one.arrays(MATERIAL, RECIPE, 1, IMAGES)
    assert len(trained) == 1
    fresh = bench(kind=kind).arrays(MATERIAL, RECIPE, 1, IMAGES)
    assert {name: value.tolist() for name, value in found.items()} == {n: v.tolist() for n, v in fresh.items()}


def test_where_the_duration_alone_is_missing_it_is_measured_anew():
    shelf, ticks = MemoryShelf(), count(0, 7)
    one = bench(shelf, clock=lambda: float(next(ticks)))
    kept = one.arrays(MATERIAL, RECIPE, 1, IMAGES)
    assert next(ticks) == 0
    assert [one.seconds(MATERIAL, RECIPE, 1, IMAGES) for _ in range(2)] == [7, 7]
    assert one.arrays(MATERIAL, RECIPE, 1, IMAGES) is kept
    assert next(ticks) == 21


def test_with_equal_steps_every_arm_takes_as_many_and_with_the_papers_budget_as_its_images_say():
    arms = [{"pit": FLIP}, RECIPE, {"pit": PASTE}]
    assert [bench().steps(MATERIAL, arm) for arm in arms] == [2, 2, 2]
    epochs = small_detector(budget="paper", epochs=10, batch_size=2)
    assert [bench(params=epochs).steps(MATERIAL, arm) for arm in arms] == [20, 30, 30]


def test_scores_do_not_depend_on_what_other_images_are_scored():
    alone, both = (bench().scores(MATERIAL, RECIPE, 1, images) for images in (IMAGES[1:], IMAGES))
    assert values(alone) == values(both[1:])
    assert np.array_equal(alone[0].overlap, both[1].overlap)
