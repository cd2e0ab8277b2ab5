import pytest
from benches import FLIP, MADE
from benefit_results import arm, arms

from pipeline_tasks.benefit.verdict import judge, not_applicable

CHOSEN_PAIRS = {"pit": MADE, "scratch": FLIP}


@pytest.mark.parametrize(
    ("difference", "outcome", "says"),
    [(0.05, "better", "does better than"), (-0.05, "worse", "does worse than"), (0.01, "undecided", "cannot be told")],
)
def test_an_interval_that_leaves_zero_out_decides(difference, outcome, says):
    found = judge({"real_flip": arm(), "chosen": arm(0.5 + difference, difference)}, CHOSEN_PAIRS, None, "pixel_ap")
    assert found["outcome"] == outcome
    assert says in found["sentence"]


def test_the_sentence_holds_the_figures():
    assert judge(arms(), CHOSEN_PAIRS, "inpainting_50", "pixel_ap")["sentence"] == (
        "On the real test images what was chosen does better than real_flip: pixel AP 0.550 against 0.500, "
        "difference +0.050 (interval +0.030 to +0.070)."
    )


@pytest.mark.parametrize(
    ("generator_arm", "outcome", "says"),
    [("inpainting_50", "better", "does better than"), ("inpainting_100", "worse", "does worse than")],
)
def test_where_real_images_were_chosen_it_is_on_the_generators_arm_whatever_others_score(generator_arm, outcome, says):
    made = arms() | {"inpainting_100": arm(0.4, -0.1)}
    found = judge(made, dict.fromkeys(CHOSEN_PAIRS, FLIP), generator_arm, "pixel_ap")
    assert found["outcome"] == outcome
    assert f"{generator_arm} (not chosen) {says} real_flip" in found["sentence"]


def test_where_pairs_were_chosen_it_is_on_them_whatever_the_generators_arm():
    made = arms() | {"inpainting_50": arm(0.4, -0.1)}
    assert judge(made, CHOSEN_PAIRS, "inpainting_50", "pixel_ap")["outcome"] == "better"


@pytest.mark.parametrize("chosen", [CHOSEN_PAIRS, dict.fromkeys(CHOSEN_PAIRS, FLIP)])
@pytest.mark.parametrize("generator_arm", ["inpainting_50", None])
def test_an_arm_that_there_was_no_time_for_is_none(chosen, generator_arm):
    few = {"real_flip": arm(), "paste_50": arm(0.6, 0.1)}
    none = not_applicable("no arm with pairs was measured")
    assert judge(few, chosen, generator_arm, "pixel_ap") == none


def test_another_score_is_named_as_it_is():
    scores = {"accuracy": {"mean": 0.75}, "against": {"difference": 0.25, "low": 0.1, "high": 0.4}}
    found = judge({"real_flip": {"accuracy": {"mean": 0.5}}, "chosen": scores}, CHOSEN_PAIRS, None, "accuracy")
    assert "accuracy 0.750 against 0.500" in found["sentence"]


def test_where_nothing_can_be_compared_the_reason_is_given():
    assert not_applicable("there is no test image") == {
        "outcome": "not_applicable",
        "sentence": "No comparison: there is no test image.",
    }
