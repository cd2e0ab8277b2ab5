from dataclasses import replace

import pytest
from benches import CLASSIC, FLIP, MADE, PASTE, REAL, graded
from settings import settings

from pipeline_tasks.benefit.arms import Arm
from pipeline_tasks.benefit.decision import Judge, decide
from pipeline_tasks.schema import GOOD

PARAMS = settings(choose={"draws": 200, "confidence": 0.9, "min_ap": 0.1}).choose
PERLIN = Arm("perlin", 50, "flip")
GAINING = (3, 1.9)
"""Pasting that gains on average over grades (2, 2), so that a generator may be believed, but does not win itself."""
IMAGES = [(f"{defect}/{n}", defect) for defect, count in ((GOOD, 4), ("pit", 8), ("scratch", 6)) for n in range(count)]


def runs(*grades, images=IMAGES):
    """The scores of an arm that finds every defect so well in each repeat."""
    return [
        [graded(path, defect, grade, seed=repeat) for path, defect in images] for repeat, grade in enumerate(grades)
    ]


def judge(groups=None, params=PARAMS, **arms):
    """A judge of arms by grade in either repeat: flip=(2, 2)."""
    named = {"flip": FLIP, "real": REAL, "classic": CLASSIC, "paste": PASTE, "made": MADE, "perlin": PERLIN}
    return Judge({named[name]: runs(*grades) for name, grades in arms.items()}, groups or {}, params, 0)


def decided(**arms):
    return decide(judge(**arms), "pit")


@pytest.mark.parametrize(
    ("arms", "outcome", "arm"),
    [
        ({"flip": (2, 2), "paste": GAINING, "made": (4, 4)}, "synthesis", MADE),
        ({"flip": (2, 2), "made": (4, 4)}, "no synthesis", FLIP),  # whether pasting gains is not known
        ({"flip": (2, 2), "paste": (4, 4)}, "paste only", PASTE),
        ({"flip": (2, 2), "perlin": (4, 4)}, "synthesis", PERLIN),
        ({"flip": (2, 2), "paste": (3, 3), "made": (4, 4)}, "synthesis", MADE),  # the better of two winners
        ({"flip": (2, 2), "paste": (4, 4), "made": (3, 3)}, "paste only", PASTE),
        ({"flip": (2, 2), "paste": GAINING, "made": (2, 2)}, "no synthesis", FLIP),
        ({"flip": (2, 2), "paste": GAINING, "made": (1, 1)}, "no synthesis", FLIP),
        ({"flip": (2, 2), "paste": GAINING, "made": (4, 1.9)}, "no synthesis", FLIP),  # on average, not in every repeat
        # above the incumbent alone
        ({"flip": (2, 2), "classic": (3, 3), "paste": (5, 2.9), "made": (2.8, 2.8)}, "no synthesis", CLASSIC),
        ({"flip": (2, 2), "classic": (3, 3), "paste": (5, 2.9), "made": (4, 4)}, "synthesis", MADE),
        ({"flip": (2, 2), "real": (1, 1), "paste": GAINING, "made": (4, 4)}, "synthesis", MADE),
        ({"flip": (2, 2), "classic": (4, 4)}, "no synthesis", CLASSIC),
        ({"flip": (2, 2), "classic": (4, 1.9)}, "no synthesis", FLIP),
        ({"flip": (2, 2), "real": (2, 2)}, "no synthesis", FLIP),
        ({"flip": (2,), "paste": (3,), "made": (6,)}, "no synthesis", FLIP),  # one repeat decides nothing
        ({"flip": (-4, -4), "paste": (-3.5, -3.5), "made": (-3, -3)}, "undecidable", FLIP),
    ],
)
def test_a_switch_takes_a_gain_over_the_real_arms_in_every_repeat(arms, outcome, arm):
    found = decided(**arms)
    assert (found.outcome, found.arm) == (outcome, arm)


def test_a_gain_that_one_of_many_repeats_lacks_is_none_however_probable():
    lenient = PARAMS.model_copy(update={"confidence": 0.6})
    others = {"flip": (2, 2, 2, 2), "paste": (3, 3, 3, 1.9)}
    found = decide(judge(params=lenient, **others, made=(4, 4, 4, 1.9)), "pit")
    assert found.against.probability > 0.8
    assert (found.outcome, found.arm) == ("no synthesis", FLIP)
    assert decide(judge(params=lenient, **others, made=(4, 4, 4, 2.1)), "pit").outcome == "synthesis"


def test_every_real_arm_has_to_be_beaten_in_every_repeat_not_the_best_on_average_alone():
    """The best real arm on average is beaten twice; another one is better in the second repeat."""
    arms = {"flip": (4, 2), "real": (1, 3.5), "paste": (4.2, 2.2)}
    assert decided(**arms).best_real == FLIP
    found = decided(**arms, made=(5, 3))
    assert (found.outcome, found.arm) == ("no synthesis", FLIP)
    assert min(found.against.per_run) > 0
    assert "But against real: pixel AP" in found.reason
    assert decided(**arms, made=(5, 5)).outcome == "synthesis"


@pytest.mark.parametrize("pasting", [{}, {"paste": (1.5, 1.5)}, {"paste": (2, 2)}, {"perlin": (2.1, 1.9)}])
def test_a_generators_gain_is_not_believed_unless_pasting_was_measured_and_gains_too(pasting):
    found = decided(flip=(2, 2), **pasting, made=(4, 4))
    assert (found.outcome, found.arm) == ("no synthesis", FLIP)
    assert found.reason.startswith("The best synthetic arm is inpainting_50, against real_flip: pixel AP +")
    assert found.reason.endswith(
        "The generator has seen the left-out images, and pasting shows no gain: this is not believed."
    )
    assert found.against.difference > 0
    assert decided(flip=(2, 2), **pasting | {"paste": GAINING}, made=(4, 4)).arm == MADE


def test_one_pasting_arm_that_gains_is_enough():
    other = Arm("paste", 25, "flip")
    both = judge(flip=(2, 2), paste=(1.5, 1.5), made=(4, 4))
    assert decide(replace(both, scored=both.scored | {other: runs(*GAINING)}), "pit").arm == MADE
    assert decide(replace(both, scored=both.scored | {other: runs(1.9, 1.9)}), "pit").arm == FLIP


@pytest.mark.parametrize("pasting", [{}, {"paste": (1.5, 1.5)}])
def test_a_simulated_defects_gain_is_believed_since_nothing_real_went_into_it(pasting):
    assert decided(flip=(2, 2), **pasting, perlin=(4, 4)).arm == PERLIN


def test_an_improbable_gain_does_not_convince():
    """One image gains in both repeats, the others are as they were."""

    def scores(grade):
        return [
            [graded(path, defect, grade if path == "pit/0" else 2, repeat) for path, defect in IMAGES]
            for repeat in range(2)
        ]

    lucky = Judge({FLIP: scores(2), PASTE: scores(3), MADE: scores(4)}, {}, PARAMS, 0)
    found = decide(lucky, "pit")
    assert min(found.against.per_run) > 0
    assert found.against.probability < 0.9
    assert found.outcome == "no synthesis"
    assert decide(replace(lucky, params=PARAMS.model_copy(update={"confidence": 0.6})), "pit").outcome == "synthesis"


def test_shots_of_one_part_count_as_one_image():
    groups = {path: "pit/0" if defect == "pit" else path for path, defect in IMAGES}
    apart, together = (judge(of, flip=(2, 2), made=(3, 3)).against(MADE, FLIP, ["pit"]) for of in ({}, groups))
    assert apart.per_run == together.per_run
    assert apart.high - apart.low > 2 * (together.high - together.low)


def test_each_defect_is_judged_by_its_own_images_and_the_normal_ones():
    def scores(grade):
        return [
            [graded(path, defect, grade if defect == "scratch" else 2, repeat) for path, defect in IMAGES]
            for repeat in range(2)
        ]

    mixed = Judge({FLIP: scores(2), PASTE: scores(3), MADE: scores(5)}, {}, PARAMS, 0)
    assert [decide(mixed, defect).outcome for defect in ("pit", "scratch")] == ["no synthesis", "synthesis"]
    assert mixed.against(MADE, FLIP, ["pit"]).difference == 0


def test_false_alarms_on_normal_images_count():
    quiet, loud = runs(4, 4), runs(4, 4)
    for repeat, run in enumerate(loud):
        run[:4] = [replace(graded(path, "pit", 6, repeat), defect=GOOD) for path, _ in IMAGES[:4]]
        run[:4] = [replace(one, counts=one.counts.sum(0) * [[1], [0]]) for one in run[:4]]
    found = Judge({FLIP: quiet, MADE: loud}, {}, PARAMS, 0)
    assert found.against(MADE, FLIP, ["pit"]).difference < -0.1


def test_the_reasons_hold_the_figures():
    found = decided(flip=(2, 2), paste=GAINING, made=(4, 4))
    figures = f"pixel AP {found.against.difference:+.3f} (interval {found.against.low:+.3f} to "
    assert found.reason.startswith("inpainting_50 beats every real arm in every repeat; against real_flip, the best")
    assert figures in found.reason
    lost = decided(flip=(2, 2), paste=(3, 1.5), made=(1, 1))
    assert lost.reason.startswith("The best synthetic arm is paste_50, against real_flip: pixel AP ")
    assert lost.reason.endswith("A switch takes a gain over every real arm in every repeat, and a probability of 0.9.")
    assert decided(flip=(2,), made=(6,)).reason.endswith("One repeat of the folds decides nothing.")
    assert decided(flip=(2, 2), real=(2, 2)).reason == "No synthetic arm was measured."
    assert "pixel AP of 0.0" in decided(flip=(-4, -4)).reason


def test_undecidable_needs_every_arm_below_the_least():
    assert decided(flip=(-4, -4), paste=(-3, -4.1), made=(3, 3)).outcome == "synthesis"


def test_arms_are_compared_on_the_same_images():
    shorter = Judge({FLIP: runs(2, 2), MADE: runs(2, 2, images=IMAGES[::-1])}, {}, PARAMS, 0)
    with pytest.raises(ValueError, match="scores other images, or in another order"):
        decide(shorter, "pit")
