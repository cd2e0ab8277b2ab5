import json
from dataclasses import replace

import numpy as np
import pytest
from benches import CLASSIC, FLIP, MADE, PASTE, GradedBench, Guesses, piece
from rows import sample
from settings import settings

from pipeline_tasks.benefit.field import Field, recipes
from pipeline_tasks.benefit.material import Material
from pipeline_tasks.measures.pixels import SCORES
from pipeline_tasks.schema import GOOD

DEFECTS = ["pit", "scratch"]
GRADES = {FLIP: 2.0, MADE: 4.0, PASTE: 1.0, CLASSIC: 2.5}
PIECES = [piece(defect, f"{defect}/{n}", "pit/0") for defect in DEFECTS for n in range(3)]
REAL = [piece(defect, f"{defect}/0") for defect in [GOOD, *DEFECTS]]
MATERIAL = Material(REAL, {"inpainting": PIECES, "paste": PIECES[:2]})
TEST = [sample(defect, n, "test") for defect in [GOOD, *DEFECTS] for n in range(4)]
MIXED = {"pit": MADE, "scratch": FLIP}
ENTRIES = recipes([PASTE, FLIP, MADE], MIXED, DEFECTS)


def field(entries=ENTRIES, test=TEST, **values):
    values = {"seeds": [0, 1, 2], "budget_minutes": 0.0, "draws": 100, "detectors": ["unet"]} | values
    return Field(settings(evaluate=values).evaluate, 5, entries, test)


def bench(**values):
    return GradedBench(lambda arm, path: GRADES[arm], **values)


def localised(on=None, of=None):
    return (on or field()).localise(of or bench(), MATERIAL)


def test_the_incumbent_and_what_was_chosen_come_first():
    assert list(ENTRIES) == ["real_flip", "chosen", "paste_50", "inpainting_50"]
    assert ENTRIES["chosen"] == MIXED
    assert ENTRIES["paste_50"] == {"pit": PASTE, "scratch": PASTE}


def test_every_arm_is_scored_with_every_seed_by_defect_and_in_all():
    result = json.loads(json.dumps(localised().arms))
    assert list(result) == list(ENTRIES)
    for arm in result.values():
        for scores in (arm, *arm["per_defect"].values()):
            assert all(len(scores[name]["values"]) == 3 for name in (*SCORES, "pro", "image_auroc"))
    ap = {name: arm["pixel_ap"]["mean"] for name, arm in result.items()}
    assert ap["inpainting_50"] > ap["chosen"] > ap["real_flip"] > ap["paste_50"]
    by_defect = result["chosen"]["per_defect"]
    assert by_defect["pit"] == result["inpainting_50"]["per_defect"]["pit"]


def test_arms_are_compared_with_the_incumbent_on_the_same_images_and_seeds():
    result = localised().arms
    assert result["real_flip"]["against"] is None
    assert result["inpainting_50"]["against"]["low"] > 0 > result["paste_50"]["against"]["high"]
    difference = result["chosen"]["pixel_ap"]["mean"] - result["real_flip"]["pixel_ap"]["mean"]
    assert result["chosen"]["against"]["difference"] == pytest.approx(difference, abs=1e-4)


def test_an_arm_like_the_incumbent_does_not_differ_from_it():
    same = recipes([FLIP, MADE], dict.fromkeys(DEFECTS, FLIP), DEFECTS)
    against = localised(field(same)).arms["chosen"]["against"]
    assert (against["difference"], against["probability"]) == (0, 0.5)


def test_arms_share_seeds_images_and_material():
    of = bench()
    localised(of=of)
    assert len(of.calls) == 12
    seeds = [seed for _, _, seed, _ in of.calls]
    assert seeds == seeds[:3] * 4
    assert len(set(seeds)) == 3
    assert {id(material) for material, *_ in of.calls} == {id(MATERIAL)}
    assert all(paths == [one.source_path for one in TEST] for *_, paths in of.calls)


def test_synthetic_images_are_counted_and_the_detector_is_described():
    result = localised()
    assert [arm["synthetic_images"] for arm in result.arms.values()] == [0, 3, 2, 6]
    assert result.described() == {"about": result.about, "reasons": {}, "arms": result.arms, "seeds": [0, 1, 2]}
    assert result.about["network"] == "MONAI BasicUNet"


def test_images_and_curves_are_of_what_was_chosen_and_of_every_arm():
    result = localised()
    assert [(one["source_path"], one["defect"]) for one in result.images] == [(s.source_path, s.defect) for s in TEST]
    assert [one["pixel_ap"] is None for one in result.images] == [s.defect == GOOD for s in TEST]
    assert list(dict.fromkeys(row["arm"] for row in result.curves)) == list(ENTRIES)
    assert all(0 <= row["recall"] <= 1 and 0 <= row["precision"] <= 1 for row in result.curves)


def test_without_normal_test_images_scores_of_images_do_not_apply_for_a_reason():
    result = localised(field(test=[one for one in TEST if one.defect != GOOD]))
    assert result.reasons["image_auroc"] == "there are no normal test images"
    assert result.arms["chosen"]["image_auroc"] is None
    assert result.arms["chosen"]["pixel_ap"]["mean"] > 0


def test_a_budget_leaves_seeds_and_then_the_last_arms_out_and_says_so():
    of = bench(training_seconds=10.0)
    result = localised(field(budget_minutes=1.0, detectors=["unet", "draem"]), of)
    assert list(result.arms) == ["real_flip", "chosen"]
    assert result.seeds == [0]
    why = "over the budget of 0.5 minutes (one seed of real_flip takes 10 s)"
    assert result.left_out == [
        f"unet: arm paste_50: {why}",
        f"unet: arm inpainting_50: {why}",
        f"unet: 2 of 3 seeds: {why}",
    ]
    assert len(of.calls) == 2


@pytest.mark.parametrize(
    ("minutes", "arms", "seeds"), [(2.7, 4, 4), (2.0, 4, 3), (1.9, 3, 3), (1.4, 2, 3), (0.9, 2, 2), (0.1, 2, 1)]
)
def test_three_seeds_are_kept_as_long_as_there_is_an_arm_to_leave_out(minutes, arms, seeds):
    """Four arms of five seeds, 10 s each."""
    result = localised(field(seeds=[0, 1, 2, 3, 4], budget_minutes=minutes), bench(training_seconds=10.0))
    assert (list(result.arms), result.seeds) == (list(ENTRIES)[:arms], list(range(seeds)))
    assert len(result.left_out) == 4 - arms + 1


def test_two_seeds_that_were_asked_for_are_not_cut_before_arms():
    result = localised(field(seeds=[0, 1], budget_minutes=0.9), bench(training_seconds=10.0))
    assert (list(result.arms), result.seeds) == (["real_flip", "chosen"], [0, 1])


def test_what_was_chosen_costs_nothing_where_it_is_an_arm_itself():
    entries = recipes([FLIP, MADE, PASTE], dict.fromkeys(DEFECTS, MADE), DEFECTS)
    result = localised(field(entries, budget_minutes=1.5), bench(training_seconds=10.0))
    assert (list(result.arms), result.seeds) == (["real_flip", "chosen", "inpainting_50", "paste_50"], [0, 1, 2])


def test_with_the_papers_budget_an_arm_costs_what_its_steps_do():
    of = bench(training_seconds=10.0, steps_of={"inpainting": 100})
    result = localised(field(recipes([FLIP, PASTE, MADE], dict.fromkeys(DEFECTS, FLIP), DEFECTS), budget_minutes=1), of)
    assert (list(result.arms), result.seeds) == (["real_flip", "chosen", "paste_50"], [0, 1, 2])
    assert [sentence.split(":")[1] for sentence in result.left_out] == [" arm inpainting_50"]


def test_shots_of_one_part_count_as_one_test_image():
    together = [replace(one, group="p") if one.defect == "pit" else one for one in TEST]
    widths = []
    for test in (TEST, together):
        against = localised(field(test=test)).arms["inpainting_50"]["against"]
        widths.append(against["high"] - against["low"])
    assert widths[1] < widths[0]


def test_a_classifier_is_scored_by_its_accuracy():
    of = Guesses(lambda arm, path: {FLIP: 6, MADE: 12, PASTE: 3}[arm], kind="classifier")
    result = field().classify(of, MATERIAL)
    assert {name: arm["accuracy"]["values"] for name, arm in result.arms.items()} == {
        "real_flip": [0.5] * 3,
        "chosen": [1.0] * 3,
        "paste_50": [0.25] * 3,
        "inpainting_50": [1.0] * 3,
    }
    assert result.arms["chosen"]["against"]["difference"] == pytest.approx(0.5)
    assert result.arms["paste_50"]["against"]["high"] < 0
    assert (list(result.images), list(result.curves)) == ([], [])
    assert result.about["network"] == "resnet18"


def test_a_binary_classifier_knows_defect_and_good():
    class Binary(Guesses):
        def arrays(self, material, recipe, seed, images):
            shown = [one.defect == GOOD for one in images]
            return {"probabilities": np.eye(2)[np.array(shown, int)], "classes": np.array(["defect", GOOD])}

    result = field().classify(Binary(lambda arm, path: 0, kind="classifier"), MATERIAL)
    assert result.arms["chosen"]["accuracy"]["values"] == [1.0] * 3
    assert result.arms["chosen"]["image_auroc"]["values"] == [1.0] * 3
