import pytest
from detector_records import UNMEASURED, compared, record

from pipeline_tasks.stages.detector_gate import rule, spelled

REAL = {"arms": {"pit": "real_flip", "deep_scratch": "real_flip"}}
FIGURES = (
    "On folds of the base set its mixture (deep_scratch: real_flip, pit: inpainting_50) reaches a pixel AP of 0.530, "
    "{} 0.500: +0.030 (90% interval +0.010 to +0.050; probability of a gain 0.95; by repeat +0.040, +0.020)."
)
CHAMPION = "that of version 2 (deep_scratch: real_flip, pit: paste_25)"
GAINED = "That is a gain in every repeat, and it takes the place of the champion, version 2."
CHANGED = (
    "The base set has changed since the champion, version 2, learned from it; the newer one is not convincingly worse"
)
STAYS = "so the champion, version 2, stays."
SAME = {"same_base": True}
WORSE = compared(-0.02, -0.04)


@pytest.mark.parametrize(
    ("given", "standing", "said"),
    [
        (record(), "champion", f"{FIGURES.format('real_flip')} It is not convincingly worse than real_flip, and it is"),
        (record(out_of_fold=compared(0.01, -0.03)), "champion", "-0.010 (90% interval"),
        (record(out_of_fold=WORSE), "challenger", "It is convincingly worse than real_flip, so no champion."),
        (record(out_of_fold=UNMEASURED), "challenger", "is not known: no defect is shown by two parts."),
        (record(**REAL), "champion", "the first unet of plate, trained on real images as any other one"),
        (record(out_of_fold=UNMEASURED, **REAL), "champion", "as any other one has to match (real_flip)."),
        (record("2", **SAME), "champion", f"{FIGURES.format(CHAMPION)} {GAINED}"),
        (record("2", compared(0.04, 0.0), **SAME), "challenger", f"There is no gain in 1 of 2 repeats, {STAYS}"),
        (record("2", compared(0.04), **SAME), "challenger", "One repeat of the folds shows no spread"),
        (
            record("2", compared(0.04, 0.02, probability=0.89), **SAME),
            "challenger",
            f"probability of a gain 0.89; by repeat +0.040, +0.020). The probability of a gain has to be at least "
            f"0.90, {STAYS}",
        ),
        (record("2", compared(0.04, 0.02, probability=0.9), **SAME), "champion", GAINED),
        (record("2", UNMEASURED, **SAME), "challenger", "Whether it is better than the champion, version 2, is not"),
        (record("2", same_mixture=True, **SAME), "challenger", "there is nothing to compare."),
        (record("2", WORSE, **SAME, **REAL), "challenger", f"There is no gain in 2 of 2 repeats, {STAYS}"),
        (record("2"), "champion", f"{FIGURES.format(CHAMPION)} {CHANGED}"),
        (record("2", compared(0.01, -0.03)), "champion", f"{CHANGED} and takes its place."),
        (record("2", WORSE), "challenger", "It is convincingly worse than the champion, version 2, which stays."),
        (record("2", UNMEASURED), "challenger", "Whether it is worse than the champion, version 2, is not known"),
        (record("2", same_mixture=True), "champion", "on a base set that has changed since"),
        (record("2", UNMEASURED, same_mixture=True), "champion", "on a base set that has changed since"),
    ],
)
def test_the_ruling_and_its_reason(given, standing, said):
    ruling = rule(given)
    assert ruling.standing == standing
    assert said in ruling.reason
    assert ruling.reason.endswith(".")


def test_the_test_split_has_no_say():
    given = record("2")
    decided = rule(given)
    del given["test"]
    assert rule(given) == decided


def test_one_arm_for_every_defect_is_spelled_once():
    assert spelled({"pit": "paste_50", "scratch": "paste_50"}) == "paste_50"
    assert spelled({"scratch": "real", "pit": "paste_50"}) == "pit: paste_50, scratch: real"
