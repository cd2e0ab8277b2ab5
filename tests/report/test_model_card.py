from dataclasses import replace

import pytest
from benefit_results import evaluation
from cards import ORIGIN, check_whole, front_of, on_card
from detector_records import UNMEASURED, record

from pipeline_tasks.report.dataset_card import CardOrigin
from pipeline_tasks.report.markdown import body_of
from pipeline_tasks.report.model_card import (
    CardDetector,
    CardGenerator,
    describe_detector,
    render_detector_card,
    render_generator_card,
)

GENERATOR = CardGenerator(
    "defectline-plate-generator", "d" * 32 + ".dir", "data/models/plate", {"step": [0, 398], "loss": [1.0, 0.3125]}
)
RULING = "When it was registered, the gate made it a champion: It gains."
DETECTOR = CardDetector(
    model="defectline-plate-unet",
    record=record("2"),
    ruling=RULING,
    dataset="models:/defectline-plate-dataset/3",
    version="0123456789ab",
    git_revision="f" * 40,
    licence="CC-BY-4.0",
)


def generator_card(*products, origin=ORIGIN, **values):
    made = render_generator_card(origin, replace(GENERATOR, **values), products or [on_card()])
    check_whole(made)
    return made


def detector_card(**values):
    made = render_detector_card(replace(DETECTOR, **values))
    check_whole(made)
    return made


def test_a_generator_is_told_with_its_origin_and_files():
    told = generator_card()
    assert front_of(told) == {
        "license": "cc-by-4.0",
        "pipeline_tag": "image-to-image",
        "tags": ["synthetic", "defect"],
    }
    assert "(backend `inpainting`)" in told
    assert "- data set version that it was made with: `0123456789ab` (release `dataset-3`)\n" in told
    assert f"- git revision: `{'f' * 40}`\n" in told
    assert f"- files: `data/models/plate`, DVC's MD5 `{'d' * 32}.dir`" in told
    assert "- Base model: scratch, 31.0 dB\n- Prompts: template" in told


def test_what_it_learned_and_made_are_true_numbers():
    told = generator_card()
    assert "- plate: 9 normal, 7 pit and 5 scratch base images, no test image\n" in told
    assert "- training: loss 0.312 at step 398\n" in told
    assert "| plate | pit | 20 | 4 | 3 |\n| plate | scratch | 20 | 0 | 0 |\n" in told


def test_a_generator_of_several_products_is_told_with_all():
    told = generator_card(on_card(), replace(on_card(), product="tile", licence="unknown"))
    assert front_of(told)["license_name"] == "CC-BY-4.0 and unknown"
    assert "- tile: 9 normal" in told and "| tile | pit | 20 |" in told and "- tile: unknown." in told


def test_how_like_real_defects_its_pairs_are_is_told_where_it_was_measured():
    measures = {"pairs": 20, "real": 4, "base": 7, "network": "resnet18", "kid_resnet18": 12.5, "lpips": None}
    told = generator_card(on_card(evaluation=evaluation(generation={"pit": measures, "scratch": measures})))
    assert "| measure | pit | scratch |\n|---|---:|---:|\n| images compared | 20 / 4 / 7 | 20 / 4 / 7 |\n" in told
    assert "| KID × 1000 (resnet18) | 12.5 | 12.5 |\n| LPIPS | n/a | n/a |\n" in told
    assert "Likeness of the pairs" not in generator_card()


def test_a_generator_that_learns_nothing_and_stands_outside_git_leaves_no_blank():
    told = generator_card(origin=CardOrigin("0123456789ab", "", ""), losses={})
    assert "- training: no training is on record" in told
    assert "`0123456789ab`\n- git revision: none, it was made outside git\n" in told


def test_a_card_as_a_description_is_its_body():
    told = body_of(generator_card())
    assert told.startswith("# defectline-plate-generator\n") and len(told) < 5000


def test_a_detector_is_told_with_what_it_is_and_was_trained_as():
    told = detector_card()
    assert front_of(told) == {
        "license": "cc-by-4.0",
        "pipeline_tag": "image-segmentation",
        "tags": ["defect-detection", "anomaly-detection", "visual-inspection"],
    }
    assert told.count("U-Net localiser that marks defects on images of plate") == 1
    assert 'mlflow.pyfunc.load_model("models:/defectline-plate-unet@champion")' in told
    assert RULING in told
    origin = "data set version `0123456789ab`, registered as `models:/defectline-plate-dataset/3`, at git revision"
    assert f"- {origin} `{'f' * 40}`\n- its generator: inpainting\n" in told
    assert "- real images of the base set: 2 deep scratch, 40 normal and 3 pit; each by name and SHA-256" in told
    assert "| deep scratch | 2 | 0 | real images with flips |\n| pit | 3 | 100 | 50% inpainting, flips |\n" in told


def test_its_scores_are_those_of_the_record():
    told = detector_card()
    assert "Pixel AP 0.530 on left-out base images (5 folds, repeats: 2), +0.030 against version 2, the cham" in told
    assert "(90% interval +0.010 to +0.050; probability of a gain: 95%)." in told
    assert "On real test images (4 deep scratch, 30 normal and 20 pit)" in told
    assert "| on images of | pixel AP | PRO | pixel AUROC | image AUROC |\n|---|---:|---:|---:|---:|\n" in told
    assert "| all defects | 0.625 | 0.750 | 0.900 | – |\n| deep scratch | 0.300 | – | – | – |\n" in told


def test_one_without_a_data_set_says_so():
    told = detector_card(dataset="", version="", git_revision="", record=record())
    assert "- real images alone, as no data set was the champion\n" in told
    assert "+0.030 against real images with flips" in told
    assert describe_detector(replace(DETECTOR, version="")) == (
        f"U-Net localiser for plate, trained on real images alone. {RULING}"
    )


@pytest.mark.parametrize(
    ("images", "told"),
    [
        ({}, "There were no test images"),
        ({"pit": 4}, "There were no normal test images, so its false alarms"),
        ({"good": 3, "pit": 4}, "The rarest defect was seen 2 times"),
    ],
)
def test_its_limits_are_told(images, told):
    assert told in detector_card(record=record("2", test_images=images))


def test_what_could_not_be_measured_is_told():
    none = {"pixel_ap": None, "per_defect": {"pit": {"pixel_ap": None}}}
    told = detector_card(record=record("2", UNMEASURED, test={"ours": none, "theirs": None}))
    assert "which alone decides: Not measured: no defect is shown by two parts." in told
    assert "On real test images nothing could be measured." in told
    assert "- No gain was measured out of fold: no defect is shown by two parts.\n" in told
