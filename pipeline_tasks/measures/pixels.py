"""Pixel scores from counts by logit level: the counts of images add up, so any set of images is scored at once."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hmean
from sklearn.metrics import average_precision_score, f1_score, jaccard_score, precision_recall_curve, roc_auc_score

from pipeline_tasks.images.codec import Mask

LEVELS = 1024
"""Thresholds of the pixel scores: logits are held to 1/32. Exact scores sort millions of pixels per arm and seed."""
LOGIT_LIMIT = 16.0
CURVE_POINTS = 200
"""A precision-recall curve keeps at most so many points."""
SCORES = ("pixel_auroc", "pixel_ap", "pixel_f1_max", "pixel_f1", "pixel_miou")

Floats = NDArray[np.float32]
Reals = NDArray[np.float64]
Indices = NDArray[np.int64]
Counts = NDArray[np.int64]
"""Pixels by truth (0 normal, 1 defect) and logit level, [2, LEVELS]."""


def logit_levels(logits: Floats) -> Indices:
    """Return the level of each of `logits`, 0..LEVELS-1; those beyond +-LOGIT_LIMIT are clipped.

    A level holds its lower end: a defect at probability 0.5 or above lies in the upper half of the levels.
    """
    level = np.floor((logits + LOGIT_LIMIT) * (LEVELS / (2 * LOGIT_LIMIT)))
    return np.asarray(np.clip(level, 0, LEVELS - 1), np.int64)


def count_scores(logits: Floats, mask: Mask) -> Counts:
    """Return the counts of one score map [H, W] against its mask [H, W]."""
    index = logit_levels(logits) + LEVELS * mask
    return np.bincount(index.ravel(), minlength=2 * LEVELS).reshape(2, LEVELS)


def pixel_scores(counts: Counts) -> dict[str, float | None]:
    """Return SCORES, each 0..1; None where there are no defect pixels, or no normal ones.

    AUROC (ties within a level count half), average precision (the sum of precision over recall steps), the largest F1
    over all thresholds, and, of the pixels at probability 0.5 or above, F1 and the mean of the IoU of defect and of
    background.
    """
    if not counts.any(axis=1).all():
        return dict.fromkeys(SCORES)
    truth, level, weight = _pixels(counts)
    precision, recall, _ = precision_recall_curve(truth, level, sample_weight=weight)
    found = level >= LEVELS // 2
    values = (
        roc_auc_score(truth, level, sample_weight=weight),
        average_precision_score(truth, level, sample_weight=weight),
        hmean(np.stack([precision, recall])).max(),
        f1_score(truth, found, sample_weight=weight, zero_division=0),
        jaccard_score(truth, found, average="macro", sample_weight=weight, zero_division=0),
    )
    return dict(zip(SCORES, map(float, values), strict=True))


def precision_recall(counts: Counts) -> tuple[Reals, Reals]:
    """Return recall, rising from 0 to 1, and precision at it, at most CURVE_POINTS of both, even in recall.

    Empty where there are no defect pixels.
    """
    if not counts[1].any():
        return np.zeros(0), np.zeros(0)
    truth, level, weight = _pixels(counts)
    precision, recall, _ = precision_recall_curve(truth, level, sample_weight=weight)
    precision, recall = precision[::-1], recall[::-1]
    kept = np.unique(np.searchsorted(recall, np.linspace(0, 1, CURVE_POINTS)))
    return recall[kept], precision[kept]


def average_precisions(counts: NDArray[np.int64] | Reals) -> Reals:
    """Return the average precision of each of `counts` [N, 2, LEVELS], counts or weights, as [N] values 0..1.

    What scikit-learn's average_precision_score gives one by one; 0 where there are no defect pixels.
    """
    false, true = np.moveaxis(np.cumsum(counts[..., ::-1], axis=-1, dtype=np.float64), 1, 0)
    found = true + false
    precision = np.divide(true, found, out=np.zeros_like(true), where=found > 0)
    hits = np.einsum("nl,nl->n", counts[:, 1, ::-1], precision)
    return np.asarray(np.divide(hits, true[:, -1], out=np.zeros_like(hits), where=true[:, -1] > 0), np.float64)


def _pixels(counts: Counts) -> tuple[Indices, Indices, Reals]:
    """Return truth, level and number of the pixels of each kind, for functions that take weights."""
    truth, level = np.indices(counts.shape)
    return truth.ravel(), level.ravel(), counts.ravel().astype(np.float64)
