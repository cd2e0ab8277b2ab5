from math import nan

import pytest
from choices import choice, lift

from pipeline_tasks.benefit.gate import rule
from pipeline_tasks.tracking.datasets import DatasetVersion, Lift
from pipeline_tasks.tracking.models import ModelVersion


def champion(gain=None, base_digest="b" * 64):
    return DatasetVersion(
        registered=ModelVersion("defectline-plate-dataset", "3", "models:/m-1", {}),
        version="0123456789ab",
        git_revision="",
        standing="champion",
        reason="",
        compared_with=None,
        lift=None if gain is None else Lift(gain, gain - 0.01, gain + 0.01, 0.95),
        base_digest=base_digest,
        recommendation={},
    )


def backends(**named):
    """A choice with a sound lift, by what each defect is trained with."""
    found = choice(lift(0.03))
    defect = found["defects"]["pit"]
    return found | {"defects": {name: defect | {"backend": backend} for name, backend in named.items()}}


def test_the_first_good_one_is_the_champion():
    ruling = rule(choice(lift(0.03)), None)
    assert ruling.standing == "champion"
    assert ruling.reason == (
        "Out of fold, plate trained as chosen differs from real_flip by +0.030 pixel AP (90% interval +0.020 to "
        "+0.040, probability of a gain 0.97); that is positive in every repeat. There is no champion yet."
    )


def test_a_better_one_takes_the_champions_place_with_both_numbers():
    ruling = rule(choice(lift(0.05)), champion(0.03))
    assert ruling.standing == "champion"
    assert ruling.reason.endswith("It is 0.02 above the +0.030 of the present champion, version 3 (0123456789ab).")


def test_an_equal_one_takes_it_too():
    ruling = rule(choice(lift(0.03)), champion(0.03))
    assert ruling.standing == "champion"
    assert "It is equal to the +0.030 of the present champion" in ruling.reason


def test_one_below_the_champion_is_a_challenger_with_both_numbers():
    ruling = rule(choice(lift(0.03)), champion(0.0301))
    assert ruling.standing == "challenger"
    assert "differs from real_flip by +0.030 pixel AP" in ruling.reason
    assert ruling.reason.endswith("It is 0.0001 below the +0.030 of the present champion, version 3 (0123456789ab).")


@pytest.mark.parametrize("gain", [0.02, 0.04])
def test_another_base_set_is_said_and_still_compared(gain):
    ruling = rule(choice(lift(0.03)), champion(gain, base_digest="other"))
    assert ruling.standing == ("champion" if gain < 0.03 else "challenger")
    assert ruling.reason.endswith("version 3 (0123456789ab), which was measured on another base set.")


@pytest.mark.parametrize("present", [None, champion(-0.5)])
@pytest.mark.parametrize("low", [-0.001, 0.0])
def test_a_repeat_without_gain_is_refused_however_sure_the_mean_is(present, low):
    gained = lift(0.03) | {"gains": [0.061, low], "probability": 1.0}
    ruling = rule(choice(gained), present)
    assert ruling.standing == "challenger"
    assert f"1 of 2 repeats show no gain (+0.061, {low:+.3f}), and every one has to." in ruling.reason


def test_a_spoilt_one_is_refused():
    ruling = rule(choice(lift(-0.2, probability=0.0)), None)
    assert ruling.standing == "challenger"
    assert "differs from real_flip by -0.200 pixel AP" in ruling.reason
    assert "2 of 2 repeats show no gain" in ruling.reason


def test_one_that_may_be_chance_is_refused():
    ruling = rule(choice(lift(0.03, probability=0.89)), None)
    assert ruling.standing == "challenger"
    assert ruling.reason.endswith("probability of a gain 0.89); the probability has to be at least 0.90.")
    assert rule(choice(lift(0.03, probability=0.9)), None).standing == "champion"


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (
            "no synthesis",
            "no synthesis, as pairs differ from real_flip by +0.020 pixel AP (probability of a gain 0.95)",
        ),
        ("undecidable", "undecidable"),
    ],
)
def test_real_images_alone_are_no_lift_and_the_outcomes_are_told(outcome, told):
    ruling = rule(choice(None, outcome), None)
    assert ruling.standing == "challenger"
    assert ruling.reason == (
        "plate is to be trained on real images alone, so that there is no lift to judge "
        f"(pit: {told}; scratch: {told})."
    )


def test_where_nothing_was_measured_the_reason_is_passed_on():
    ruling = rule(choice(None, "undecidable", reason="only two images of pit."), champion(0.1))
    assert ruling.standing == "challenger"
    assert ruling.reason == "No lift could be measured for plate: only two images of pit."


def test_pasted_pairs_may_be_what_a_champion_is_trained_on_where_the_data_set_is_pasted():
    assert rule(choice(lift(0.03), "paste only", generator="paste"), None).standing == "champion"


@pytest.mark.parametrize("present", [None, champion(), champion(-0.5)])
def test_a_gain_by_other_pairs_than_its_own_makes_no_champion(present):
    ruling = rule(choice(lift(0.03), "paste only"), present)
    assert ruling.standing == "challenger"
    assert ruling.reason.startswith("Out of fold, plate trained as chosen differs from real_flip by +0.030 pixel AP")
    assert ruling.reason.endswith(
        "; but that is by paste: its own pairs, by inpainting, are not chosen for any defect."
    )


def test_all_other_pairs_are_named():
    mixed = backends(pit="perlin", scratch="paste", crack=None)
    assert "but that is by paste, perlin: its own pairs, by inpainting, are" in rule(mixed, None).reason


@pytest.mark.parametrize("other", ["paste", None])
def test_one_defect_that_its_own_pairs_are_chosen_for_is_enough(other):
    assert rule(backends(pit="inpainting", scratch=other), None).standing == "champion"


@pytest.mark.parametrize(("high", "standing"), [(-0.001, "challenger"), (0.0, "champion"), (0.01, "champion")])
def test_a_defect_that_it_convincingly_does_worse_on_bars_it_however_well_the_others_do(high, standing):
    gained = lift(0.03)
    gained["per_defect"] |= {"scratch": {"gain": -0.05, "low": -0.09, "high": high, "probability": 0.02}}
    ruling = rule(choice(gained), None)
    assert ruling.standing == standing
    assert ruling.reason.endswith("; but it does worse on scratch (-0.050), beyond the interval.") == (high < 0)


def test_every_defect_that_it_does_worse_on_is_named():
    worse = lift(-0.05)["per_defect"]
    ruling = rule(choice(lift(0.03) | {"per_defect": worse}), None)
    assert ruling.reason.endswith("; but it does worse on pit (-0.050), scratch (-0.050), beyond the interval.")


def test_what_the_lift_is_over_is_said():
    several = lift(0.03) | {"best_real": "the best real arm of each defect"}
    assert "differs from the best real arm of each defect by +0.030" in rule(choice(several), None).reason


def test_a_champion_by_hand_without_a_lift_bars_nobody():
    ruling = rule(choice(lift(0.03)), champion())
    assert ruling.standing == "champion"
    assert "No lift was measured for the present champion, version 3" in ruling.reason


@pytest.mark.parametrize(
    "broken",
    [
        {"gains": []},
        {"gains": [0.1, nan]},
        {"probability": nan},
        {"gain": nan},
        {"per_defect": {"pit": {"gain": nan, "high": nan}}},
    ],
)
def test_what_is_no_number_never_passes(broken):
    assert rule(choice(lift(0.03) | broken), champion(0.01)).standing == "challenger"
