import copy

from pipeline_tasks.report.arms_text import aligned, product_text


def score(mean, std=0.02):
    return {"mean": mean, "std": std, "values": [mean]}


AGAINST = {"difference": 0.031, "low": 0.004, "high": 0.058, "probability": 0.97}
EVALUATION = {
    "budget": "equal-steps",
    "seeds": [0, 1, 2],
    "left_out": ["arm perlin_50: over the budget of 4 minutes"],
    "verdict": {"outcome": "better", "sentence": "The chosen mixture gains 3.1 points."},
    "generation": {"deep_pit": {"kid_own": 12.345, "network": "resnet18"}},
    "detectors": {
        "unet": {
            "reasons": dict.fromkeys(("image_auroc", "image_ap"), "there are no normal test images"),
            "arms": {
                "real_flip": {"pixel_ap": score(0.61), "image_auroc": None, "synthetic_images": 0, "against": None},
                "inpainting_50": {"pixel_ap": score(0.641), "image_auroc": None, "synthetic_images": 1200}
                | {"against": AGAINST, "per_defect": {}},
            },
        }
    },
}
MIXTURE = {"outcome": "synthesis", "backend": "inpainting", "ratio": 0.5, "augmentation": "flip"}
CHOICE = {"defects": {"deep_pit": MIXTURE | {"reason": "It gains in every repeat."}}, "left_out": []}
RUN = {"name": "", "generator": "inpainting", "seconds": {}, "pairs": {"deep_pit": 200}}
FIRST = RUN | {"evaluation": EVALUATION, "choice": CHOICE}


def test_everything_that_was_found_is_told():
    assert product_text("plate", "few-shot-10", [[FIRST]]).splitlines() == [
        "plate, protocol few-shot-10, budget equal-steps",
        "",
        "better: The chosen mixture gains 3.1 points.",
        "",
        "U-Net localiser, mean ± standard deviation over 3 seeds; [90% interval]",
        "  arm            pixel AP against real_flip  pixel AP       synthetic images",
        "  real_flip      –                           0.610 ± 0.020  0",
        "  inpainting_50  +0.031 [+0.004 to +0.058]   0.641 ± 0.020  1,200",
        "without image AUROC, image AP: there are no normal test images",
        "",
        "chosen on folds of the base set, without the test images:",
        "  deep pit: synthesis, 50% inpainting pairs and flips. It gains in every repeat.",
        "",
        "pairs of deep pit against real ones",
        "  measure  inpainting",
        "  kid own  12.35",
        "",
        "left out:",
        "  evaluation: arm perlin_50: over the budget of 4 minutes",
    ]


def test_arms_stand_in_one_order_whatever_theirs_is():
    arms = ["chosen", "dit_50", "perlin_50", "dit_50 [no-hmi]", "paste_50", "real_flip", "cutpaste_50", "real"]
    unet = {"reasons": {}, "arms": {arm: {"pixel_ap": score(0.5), "against": None} for arm in arms}}
    told = product_text("plate", "few-shot-10", [[FIRST | {"evaluation": EVALUATION | {"detectors": {"unet": unet}}}]])
    rows = [line.split("  ")[1] for line in told.splitlines() if "0.500" in line]
    first = ["real_flip", "real", "paste_50", "cutpaste_50", "perlin_50"]
    assert rows == [*first, "dit_50", "dit_50 [no-hmi]", "chosen"]


def test_a_single_seed_has_no_spread():
    told = product_text("plate", "few-shot-10", [[FIRST | {"evaluation": EVALUATION | {"seeds": [0]}}]])
    assert "U-Net localiser, one seed; [90% interval]" in told


def test_each_detector_tells_its_own_seeds():
    evaluation = copy.deepcopy(EVALUATION)
    unet = evaluation["detectors"]["unet"]
    evaluation["detectors"] |= {"classifier": unet | {"about": {"network": "resnet34"}, "seeds": [0, 1]}}
    told = product_text("plate", "few-shot-10", [[FIRST | {"evaluation": evaluation}]])
    assert "U-Net localiser, mean ± standard deviation over 3 seeds; [90% interval]" in told
    assert "Classifier (resnet34), mean ± standard deviation over 2 seeds; [90% interval]" in told


def test_runs_stand_side_by_side_in_what_their_pairs_are_like():
    other = copy.deepcopy(FIRST) | {"name": "no-code"}
    other["evaluation"]["generation"] = {"deep_pit": {"fid_own": 0.5}}
    assert "  measure  inpainting  no-code\n  kid own  12.35       n/a\n  fid own  n/a         0.5" in product_text(
        "plate", "few-shot-10", [[FIRST, other]]
    )


def test_an_ablation_is_a_row_and_what_was_left_out_of_it_is_told():
    other = copy.deepcopy(FIRST) | {"name": "no-code"}
    other["evaluation"]["detectors"]["unet"]["arms"]["inpainting_50"]["pixel_ap"] = score(0.5)
    told = product_text("plate", "few-shot-10", [[FIRST, other]])
    assert "  inpainting_50 [no-code]  +0.031 [+0.004 to +0.058]   0.500 ± 0.020  1,200" in told.splitlines()
    assert "  evaluation [no-code]: arm perlin_50: over the budget of 4 minutes" in told.splitlines()
    assert told.count("chosen on folds") == 1, "of the first run alone"


def test_several_draws_are_told_with_their_spread():
    second = copy.deepcopy(FIRST)
    second["evaluation"]["detectors"]["unet"]["arms"]["inpainting_50"]["against"]["difference"] = -0.02
    lines = product_text("plate", "mvtec-classification", [[FIRST], [second]]).splitlines()
    assert lines[0] == "plate, protocol mvtec-classification, 2 draws, budget equal-steps"
    assert "draw 1: better: The chosen mixture gains 3.1 points." in lines
    assert "U-Net localiser, mean ± standard deviation over 2 draws" in lines
    (row,) = [line.split("  ") for line in lines if line.startswith("  inpainting_50")]
    assert row[2] == "+0.005 ± 0.036"
    assert [line for line in lines if "deep pit" in line][1].startswith("  draw 1: deep pit: synthesis")


def test_what_did_not_apply_is_said():
    reason = {"outcome": "not_applicable", "sentence": "There are no defects to test on."}
    evaluation = EVALUATION | {"detectors": {}, "verdict": reason, "generation": {}}
    told = product_text("plate", "few-shot-10", [[RUN | {"evaluation": evaluation, "choice": {"defects": {}}}]])
    assert "not applicable: There are no defects to test on." in told and "arm  " not in told


def test_where_time_is_the_result_it_is_told():
    seconds = {"train@plate": 61.25, "generate@plate-pit": 20.0}
    timed = RUN | {"evaluation": None, "choice": None, "seconds": seconds}
    resumed = timed | {"name": "no-hmi", "seconds": {"generate@plate-pit": None}}
    assert product_text("plate", "timing", [[timed, resumed]]).splitlines()[-3:] == [
        "  run         training  pairs  seconds a pair  pairs a second",
        "  inpainting  61.25     200    0.1             10",
        "  no-hmi      61.25     200    n/a             n/a",
    ]


def test_columns_are_as_wide_as_their_widest_cell():
    assert aligned([["a", "bb", "c"], ["aaa", "b", ""]]) == ["  a    bb  c", "  aaa  b"]
