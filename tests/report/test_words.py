import pytest

from pipeline_tasks.report.words import (
    arm_words,
    detector_words,
    in_order,
    joined,
    mixture_words,
    score_words,
    signed,
    spread_words,
)


@pytest.mark.parametrize(
    ("arm", "words"),
    [
        ("real", "real images with no augmentation"),
        ("real_flip", "real images with flips"),
        ("real_classic", "real images with classic augmentation"),
        ("paste_50", "50% pasted, flips"),
        ("cutpaste_25_none", "25% CutPaste, no augmentation"),
        ("perlin_5", "5% Perlin texture, flips"),
        ("inpainting_100", "inpainting alone, flips"),
        ("controlnet_50_classic", "50% controlnet, classic augmentation"),
        ("chosen", "the chosen mixture"),
        ("something_else", "something else"),
    ],
)
def test_arms_are_told_in_words(arm, words):
    assert arm_words(arm) == words


@pytest.mark.parametrize(
    ("backend", "ratio", "augmentation", "words"),
    [
        ("paste", 0.5, "flip", "50% pasted pairs and flips"),
        ("inpainting", 1.0, "none", "inpainting pairs alone and no augmentation"),
        (None, 0.0, "classic", "real images with classic augmentation"),
    ],
)
def test_mixtures_are_told_in_words(backend, ratio, augmentation, words):
    assert mixture_words({"backend": backend, "ratio": ratio, "augmentation": augmentation}) == words


@pytest.mark.parametrize(("value", "text"), [(0.0314, "+0.031"), (-0.5, "−0.500"), (-0.0001, "+0.000")])
def test_differences_have_a_sign(value, text):
    assert signed(value) == text


def test_known_scores_come_first_and_others_keep_their_names():
    assert in_order(["new_one", "image_auroc", "pixel_ap", "new_one"]) == ["pixel_ap", "image_auroc", "new_one"]
    assert [score_words(score) for score in ("pixel_ap", "new_one")] == ["pixel AP", "new one"]
    assert [detector_words(kind) for kind in ("unet", "new_one")] == ["U-Net localiser", "new one"]


def test_a_classifier_is_named_with_its_network():
    assert detector_words("classifier", {"network": "resnet34"}) == "Classifier (resnet34)"
    assert detector_words("classifier") == "Classifier"
    assert detector_words("unet", {"network": "MONAI BasicUNet"}) == "U-Net localiser"


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        ([1], "one seed"),
        ([3, 3], "mean ± standard deviation over 3 seeds"),
        ([3, 2], "mean ± standard deviation over 2 or 3 seeds"),
    ],
)
def test_what_figures_are_over_is_told(seeds, words):
    assert spread_words(seeds) == words


@pytest.mark.parametrize(
    ("parts", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_lists_are_joined(parts, text):
    assert joined(parts) == text
