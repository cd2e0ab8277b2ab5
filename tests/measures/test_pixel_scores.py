import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score, jaccard_score, precision_recall_curve, roc_auc_score
from torchmetrics.functional.classification import binary_f1_score, multiclass_jaccard_index

from pipeline_tasks.measures.pixels import (
    CURVE_POINTS,
    LEVELS,
    LOGIT_LIMIT,
    SCORES,
    average_precisions,
    count_scores,
    logit_levels,
    pixel_scores,
    precision_recall,
)

STEP = 2 * LOGIT_LIMIT / LEVELS


def noisy_map(seed, shape=(40, 60), share=0.1):
    """Logits that only partly separate the defect pixels, and the mask."""
    rng = np.random.default_rng(seed)
    mask = rng.random(shape) < share
    return (rng.normal(-2, 2, shape) + 2 * mask).astype(np.float32), mask


def held(logits):
    """The logits as their levels hold them."""
    return np.floor(logits / STEP).astype(np.float32) * np.float32(STEP)


def exact_scores(logits, mask):
    """Every score by scikit-learn on the pixels themselves."""
    truth, scores = mask.ravel(), logits.ravel()
    precision, recall, _ = precision_recall_curve(truth, scores)
    return {
        "pixel_auroc": roc_auc_score(truth, scores),
        "pixel_ap": average_precision_score(truth, scores),
        "pixel_f1_max": max(2 * p * r / (p + r) for p, r in zip(precision, recall, strict=True) if p + r),
        "pixel_f1": f1_score(truth, scores >= 0),
        "pixel_miou": np.mean([jaccard_score(truth == side, (scores >= 0) == side) for side in (True, False)]),
    }


@pytest.mark.parametrize("seed", range(3))
def test_logits_on_levels_score_exactly_what_their_pixels_score(seed):
    logits, mask = noisy_map(seed)
    assert pixel_scores(count_scores(held(logits), mask)) == pytest.approx(exact_scores(held(logits), mask), abs=1e-12)


@pytest.mark.parametrize("share", [0.3, 0.01])
def test_levels_are_fine_enough_to_agree_with_the_exact_scores(share):
    logits, mask = noisy_map(3, (300, 300), share)
    exact = exact_scores(logits, mask)
    scores = pixel_scores(count_scores(logits, mask))
    assert scores == pytest.approx(exact, abs=2e-3)
    assert [scores[name] for name in SCORES[3:]] == pytest.approx([exact[name] for name in SCORES[3:]], abs=1e-12)


def test_scores_at_probability_one_half_are_those_of_torchmetrics():
    logits, mask = noisy_map(4)
    found = torch.sigmoid(torch.from_numpy(logits)).flatten(), torch.from_numpy(mask).flatten().long()
    scores = pixel_scores(count_scores(logits, mask))
    assert scores["pixel_f1"] == pytest.approx(float(binary_f1_score(*found)), abs=1e-6)
    classes = (found[0] >= 0.5).long()
    assert scores["pixel_miou"] == pytest.approx(float(multiclass_jaccard_index(classes, found[1], 2)), abs=1e-6)


def test_a_perfect_map_scores_one_and_a_reversed_one_none():
    mask = np.arange(12).reshape(3, 4) < 3
    perfect, wrong = (pixel_scores(count_scores(np.where(mask, s, -s).astype(np.float32), mask)) for s in (5, -5))
    assert perfect == dict.fromkeys(SCORES, 1.0)
    assert (wrong["pixel_auroc"], wrong["pixel_f1"], wrong["pixel_miou"]) == (0, 0, 0)


def test_a_detector_that_finds_nothing_has_an_f1_of_zero():
    mask = np.eye(4, dtype=bool)
    scores = pixel_scores(count_scores(np.full((4, 4), -3, np.float32), mask))
    assert scores["pixel_f1"] == 0
    assert scores["pixel_ap"] == pytest.approx(1 / 4)
    assert scores["pixel_miou"] == pytest.approx(3 / 4 / 2)


@pytest.mark.parametrize("side", [False, True])
def test_pixels_of_one_kind_have_no_scores(side):
    counts = count_scores(np.zeros((3, 3), np.float32), np.full((3, 3), side))
    assert pixel_scores(counts) == dict.fromkeys(SCORES)


def test_logits_beyond_the_limit_are_counted_at_the_ends():
    counts = count_scores(np.float32([[-1e30, 1e30]]), np.array([[False, True]]))
    assert counts[0, 0] == counts[1, -1] == 1
    assert counts.sum() == 2


def test_a_level_holds_its_lower_end_and_one_half_begins_the_upper_half():
    assert logit_levels(np.float32([-LOGIT_LIMIT, -STEP, -STEP / 2, 0, STEP])).tolist() == [0, 511, 511, 512, 513]


def test_counts_of_images_add_up_to_those_of_their_pixels_together():
    maps = [noisy_map(seed) for seed in (4, 5)]
    together = count_scores(*(np.concatenate(parts) for parts in zip(*maps, strict=True)))
    assert np.array_equal(sum(count_scores(*each) for each in maps), together)


def test_many_average_precisions_at_once_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    logits, masks = zip(*(noisy_map(seed, share=share) for seed, share in enumerate((0.5, 0.1, 0.01))), strict=True)
    counts = np.stack([count_scores(*each) for each in zip(logits, masks, strict=True)])
    exact = [average_precision_score(m.ravel(), held(each).ravel()) for each, m in zip(logits, masks, strict=True)]
    assert average_precisions(counts) == pytest.approx(exact, abs=1e-12)
    weights = rng.random(3) * 1.5
    weighted = average_precision_score(
        np.ravel(masks), np.ravel([held(each) for each in logits]), sample_weight=np.repeat(weights, masks[0].size)
    )
    assert average_precisions(np.tensordot(weights, counts, 1)[None]) == pytest.approx([weighted], abs=1e-12)


def test_without_defect_pixels_the_average_precision_is_zero_as_scikit_learn_says():
    counts = np.stack([count_scores(noisy_map(0)[0], np.zeros((40, 60), bool)), np.zeros((2, LEVELS), np.int64)])
    assert average_precisions(counts).tolist() == [0, 0]


def test_the_curve_is_scikit_learns_thinned():
    logits, mask = noisy_map(6, (200, 200))
    recall, precision = precision_recall(count_scores(logits, mask))
    whole = precision_recall_curve(mask.ravel(), held(logits).ravel())
    points = set(zip(np.round(whole[1], 9), np.round(whole[0], 9), strict=True))
    assert set(zip(np.round(recall, 9), np.round(precision, 9), strict=True)) <= points
    assert 100 < len(recall) == len(precision) <= CURVE_POINTS < len(points)
    assert (recall[0], recall[-1]) == (0, 1)
    assert (np.diff(recall) > 0).all()
    assert np.trapezoid(precision, recall) == pytest.approx(average_precision_score(mask.ravel(), logits.ravel()), 0.01)


def test_without_defect_pixels_there_is_no_curve():
    recall, precision = precision_recall(count_scores(np.zeros((3, 3), np.float32), np.zeros((3, 3), bool)))
    assert len(recall) == len(precision) == 0
