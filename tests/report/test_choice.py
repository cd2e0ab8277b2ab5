import pytest
from benefit_results import arm, choice, chosen, evaluation, score

from pipeline_tasks.report.choice import defects_section, recommendations


def rows(made, results):
    return {row.defect: row for row in defects_section(made, results).rows}


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("synthesis", "train with 50% inpainting pairs and flips."),
        ("paste only", "train with 25% pasted pairs and flips."),
        ("no synthesis", "no synthesis: train on real images with flips."),
        ("undecidable", "undecidable, so train on real images with flips. The reason for undecidable."),
    ],
)
def test_every_outcome_is_advice_in_plain_words(outcome, words):
    (advice,) = recommendations(choice(defects={"pit": chosen(outcome)}))
    assert (advice.defect, advice.words) == ("pit", words)


def test_a_defect_is_shown_with_its_gain_out_of_fold_and_its_test_scores():
    row = rows(choice(), evaluation())["pit"]
    assert (row.outcome, row.mixture, row.arm) == ("synthesis", "50% inpainting pairs and flips", "inpainting_50")
    assert (row.gain, row.interval, row.probability) == ("+0.031", "+0.004 to +0.060", "97%")
    assert (row.chosen, row.incumbent) == ("0.550 ± 0.010", "0.500 ± 0.010")
    assert row.reason == "The reason for synthesis."


def test_without_a_mixture_of_its_own_the_arm_that_was_chosen_is_looked_up():
    arms = {"real_flip": arm(0.5), "inpainting_50": arm(0.7, 0.2)}
    found = rows(choice(), evaluation(detectors={"unet": {"arms": arms}}))
    assert (found["pit"].chosen, found["scratch"].chosen) == ("0.700 ± 0.010", "0.500 ± 0.010")


def test_what_could_not_be_measured_is_left_blank():
    unmeasured = chosen("undecidable", gain=None, low=None, high=None, probability=None)
    row = rows(choice(defects={"pit": unmeasured}), evaluation())["pit"]
    assert (row.gain, row.interval, row.probability) == ("–", "", "–")


def test_a_defect_that_is_only_tested_on_is_shown_as_such():
    arms = {"real_flip": arm(per_defect={"dent": {"pixel_ap": score(0.3)}})}
    row = rows(choice(), evaluation(detectors={"unet": {"arms": arms}}))["dent"]
    assert (row.outcome, row.incumbent, row.chosen) == ("not chosen for", "0.300 ± 0.010", "n/a")
    assert "holds no image of it" in row.reason


def test_every_arm_is_shown_out_of_fold():
    table = defects_section(choice(), evaluation()).folds
    assert table.columns == ["all defects", "pit", "scratch"]
    assert [cell.text for cell in table.rows[0][1]] == ["0.700", "0.800", "0.600"]
    assert defects_section(choice(arms={}), evaluation()).folds is None


def test_without_results_there_is_no_row():
    assert defects_section({}, {}).rows == []
