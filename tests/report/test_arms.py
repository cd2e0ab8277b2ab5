import pytest
from benefit_results import arm, evaluation, score

from pipeline_tasks.report.arms import detector_sections, score_text


def section(arms, **detector):
    return detector_sections({"detectors": {"unet": {"arms": arms, **detector}}})[0]


def cells(table, number):
    return [(cell.text, cell.note) for cell in table.rows[number][1]]


def test_arms_stand_in_the_order_given_with_their_scores_and_spreads():
    scores = section({"real_flip": arm(0.5), "paste_50": arm(0.6, 0.1, synthetic_images=1200)}).scores
    assert scores.columns == ["pixel AP", "pixel F1 at 0.5", "pixel AUROC", "image AUROC", "synthetic images"]
    assert [head for head, _ in scores.rows] == ["real images with flips", "50% pasted, flips"]
    assert scores.notes == ["real_flip", "paste_50"]
    figures = [(text, "±\xa00.010") for text in ("0.600", "0.400", "0.900")]
    assert cells(scores, 1) == [*figures, ("n/a", ""), ("1,200", "")]


def test_further_scores_and_those_by_defect_are_kept_apart():
    miou = {"pixel_miou": score(0.7)}
    further, by_defect = section({"real_flip": arm(0.5, **miou), "paste_50": arm(0.6, 0.1, **miou)}).more
    assert (further.title, further.columns) == ("Further scores", ["mIoU at 0.5"])
    assert (by_defect.title, by_defect.columns) == ("pixel AP by defect", ["pit", "scratch"])
    assert cells(by_defect, 0) == [("0.500", "±\xa00.010")] * 2


def test_a_defect_that_one_arm_lacks_has_no_score():
    lacking = arm(0.6, 0.1, per_defect={"pit": {"pixel_ap": score(0.7), "image_auroc": None}})
    tables = section({"real_flip": arm(0.5), "paste_50": lacking}).more
    assert [table.title for table in tables] == ["pixel AP by defect"]
    assert cells(tables[0], 1) == [("0.700", "±\xa00.010"), ("n/a", "")]


@pytest.mark.parametrize(("mean", "std", "best"), [(0.60, 0.01, True), (0.60, 0.1, False), (0.515, 0.01, False)])
def test_a_score_is_marked_only_outside_the_spreads(mean, std, best):
    table = section({"real_flip": arm(0.5), "paste_50": arm(pixel_ap=score(mean, std))}).scores
    assert [row[0].best for _, row in table.rows] == [False, best]


def test_one_arm_alone_beats_nobody():
    assert not section({"real_flip": arm(0.5)}).scores.rows[0][1][0].best


def test_one_seed_has_no_spread():
    assert score_text(score(0.5, None)) == "0.500"
    assert score_text(score(0.5)) == "0.500 ± 0.010"
    assert score_text(None) == "n/a"
    assert cells(section({"real_flip": arm(pixel_ap=score(0.5, None))}).scores, 0)[0] == ("0.500", "")


def test_every_arm_but_the_incumbent_is_held_against_it():
    found = section({"real_flip": arm(0.5), "paste_50": arm(0.6, 0.1), "real": arm(0.4, -0.1)})
    assert [dot.name for dot in found.plot.dots] == ["50% pasted, flips", "real images with no augmentation"]
    assert found.plot.dots[0].words == "+0.100 (+0.080 to +0.120), P 97%"
    assert found.compared == "pixel AP"


def test_the_incumbent_alone_has_no_plot():
    assert section({"real_flip": arm(0.5)}).plot is None


def test_a_classifier_is_compared_by_its_accuracy():
    classes = {"image_auroc": score(0.9), "f1": score(0.7), "accuracy": score(0.8)}
    found = section({"real_flip": {"synthetic_images": 0, **classes, "per_defect": {}, "against": None}})
    assert found.compared == "accuracy"
    assert found.scores.columns == ["accuracy", "F1", "image AUROC", "synthetic images"]
    assert found.more == []


def test_missing_scores_have_reasons_and_intervals_their_width():
    (found,) = detector_sections(evaluation(confidence=0.8))
    assert found.reasons == ["No image AUROC: there are no normal test images."]
    assert found.level == "80%"
    assert found.about == "network: BasicUNet; loss: focal"


def test_each_detector_tells_the_seeds_that_it_had_time_for():
    arms = {"real_flip": arm(0.5)}
    both = {"unet": {"arms": arms, "seeds": [0, 1, 2]}, "classifier": {"arms": arms, "seeds": [0]}}
    told = [found.spread for found in detector_sections(evaluation(seeds=[0, 1, 2], detectors=both))]
    assert told == ["Mean ± standard deviation over 3 seeds", "One seed"]


@pytest.mark.parametrize("empty", [{}, {"detectors": {}}, {"detectors": {"unet": {"arms": {}}}}])
def test_no_arms_give_no_section(empty):
    assert detector_sections(empty) == []
