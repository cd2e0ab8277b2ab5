"""Scores of a detector: pixels pooled over images, and whole images (METHODS section 5)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import mean, stdev
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.classification import binary_auroc

from pipeline_tasks.images.codec import Mask
from pipeline_tasks.schema import GOOD

LEVELS = 4096
"""Thresholds of the pixel metrics: logits are held to 1/128. Exact metrics sort millions of pixels per arm and seed."""
LOGIT_LIMIT = 16.0
SMOOTHING_PX = 1.0
"""Standard deviation of the blur before an image's maximum is taken: a single hot pixel is no defect."""

Floats = NDArray[np.float32]
Counts = NDArray[np.int64]
"""Pixels by truth (0 normal, 1 defect) and logit level, [2, LEVELS]: the counts of images add up."""


def count_scores(logits: Floats, mask: Mask) -> Counts:
    """Return the counts of one score map [H, W] against its mask [H, W]; logits beyond +-LOGIT_LIMIT are clipped."""
    level = np.floor((logits + LOGIT_LIMIT) * (LEVELS / (2 * LOGIT_LIMIT)))
    index = np.clip(level, 0, LEVELS - 1).astype(np.int64) + LEVELS * mask
    return np.bincount(index.ravel(), minlength=2 * LEVELS).reshape(2, LEVELS)


def pixel_scores(counts: Counts) -> dict[str, float]:
    """Return pixel AUROC, average precision (the sum of precision over recall steps) and the largest F1, each 0..1.

    Every level is a threshold; ties within a level count half in the AUROC. Needs pixels of both kinds.
    """
    false, true = (np.cumsum([0, *row[::-1]]) for row in counts)
    precision, recall = true / np.maximum(true + false, 1), true / true[-1]
    return {
        "pixel_auroc": float(np.trapezoid(recall, false / false[-1])),
        "pixel_ap": float(np.sum(np.diff(recall) * precision[1:])),
        "pixel_f1_max": float(np.max(2 * true / (true + false + true[-1]))),
    }


def image_score(logits: Floats) -> float:
    """Return the largest defect probability of a score map [H, W] after a slight blur."""
    probability = 1 / (1 + np.exp(-np.clip(logits, -LOGIT_LIMIT, LOGIT_LIMIT)))
    return float(cv2.GaussianBlur(probability, (0, 0), SMOOTHING_PX).max())


def image_auroc(normal: Sequence[float], defect: Sequence[float]) -> float | None:
    """Return the AUROC of image scores, 0..1; None where either kind of image is missing."""
    if not normal or not defect:
        return None
    truth = [0] * len(normal) + [1] * len(defect)
    return float(binary_auroc(torch.tensor([*normal, *defect]), torch.tensor(truth)))


class ScoreSheet:
    """What one trained detector scores on the test images, pooled by defect."""

    def __init__(self) -> None:
        self.counts: dict[str, Counts] = defaultdict(lambda: np.zeros((2, LEVELS), np.int64))
        self.images: dict[str, list[float]] = defaultdict(list)

    def add(self, defect: str, logits: Floats, mask: Mask) -> None:
        """Enter the score map [H, W] of a test image of `defect` ('good': a normal image)."""
        self.counts[defect] += count_scores(logits, mask)
        self.images[defect].append(image_score(logits))

    def scores(self, defects: Iterable[str]) -> dict[str, float | None]:
        """Return every score over the test images of `defects` and the normal ones."""
        wanted = list(defects)
        pixels = sum((self.counts[defect] for defect in wanted), self.counts[GOOD])
        images = [score for defect in wanted for score in self.images[defect]]
        return {**pixel_scores(pixels), "image_auroc": image_auroc(self.images[GOOD], images)}


def over_seeds(scores: Sequence[Mapping[str, float | None]]) -> dict[str, dict[str, Any] | None]:
    """Return mean, standard deviation (None for one seed) and values of each score; None where it does not apply."""
    return {name: _spread([row[name] for row in scores]) for name in scores[0]}


def _spread(values: Sequence[float | None]) -> dict[str, Any] | None:
    known = [round(value, 6) for value in values if value is not None]
    if not known:
        return None
    return {"mean": mean(known), "std": stdev(known) if len(known) > 1 else None, "values": known}
