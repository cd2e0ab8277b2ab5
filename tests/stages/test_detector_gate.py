import pytest
from detector_records import UNMEASURED, compared, record

from pipeline_tasks.stages.detector_gate import rule, spelled

REAL = {"arms": {"pit": "real_flip", "deep_scratch": "real_flip"}}
FIGURES = (
    "On folds of the base set its mixture (deep_scratch: real_flip, pit: inpainting_50) reaches a pixel AP of 0.530, "
    "{} 0.500: +0.030 (90% interval +0.010 to +0.050; by repeat +0.040, +0.020)."
)
CHAMPION = "that of version 2 (deep_scratch: real_flip, pit: paste_25)"


@pytest.mark.parametrize(
    ("given", "standing", "said"),
    [
        (
            record(),
            "champion",
            f"{FIGURES.format('real_flip')} It does not do worse than real_flip, and it is the first",
        ),
        (record(out_of_fold=compared(0.01, -0.01)), "champion", "+0.000 (90% interval"),
        (
            record(out_of_fold=compared(0.01, -0.02)),
            "challenger",
            "It does worse than real_flip, so it is no champion.",
        ),
        (record(out_of_fold=UNMEASURED), "challenger", "is not known: no defect is shown by two parts."),
        (record(**REAL), "champion", "the first unet of plate, trained on real images as any other one"),
        (record(out_of_fold=UNMEASURED, **REAL), "champion", "as any other one has to match (real_flip)."),
        (record("2"), "champion", f"{FIGURES.format(CHAMPION)} It does not do worse than the champion, version 2, and"),
        (record("2", compared(0.01, -0.01)), "champion", "and takes its place."),
        (record("2", compared(0.01, -0.02)), "challenger", "It does worse than the champion, version 2, which stays."),
        (record("2", UNMEASURED), "challenger", "Whether it does worse than the champion, version 2, is not known"),
        (record("2", same_mixture=True), "champion", "on a base set that has changed since"),
        (record("2", UNMEASURED, same_mixture=True), "champion", "on a base set that has changed since"),
        (record("2", same_mixture=True, same_base=True), "challenger", "there is nothing to compare."),
        (record("2", compared(0.01, -0.02), **REAL), "challenger", "It does worse than the champion, version 2"),
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
