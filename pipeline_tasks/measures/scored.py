"""What a detector says of one image, small enough to keep for every image, arm and seed; and the scores of many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.stats import hmean
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve, roc_auc_score

from pipeline_tasks.images.codec import Mask
from pipeline_tasks.measures.pixels import LEVELS, LOGIT_LIMIT, Counts, Floats, count_scores, pixel_scores
from pipeline_tasks.measures.regions import pro_score, region_overlap
from pipeline_tasks.schema import GOOD

SMOOTHING_PX = 1.0
"""Standard deviation of the blur before an image's maximum is taken: a single hot pixel is no defect."""
IMAGE_SCORES = ("image_auroc", "image_ap", "image_f1_max", "image_f1")


@dataclass(frozen=True, eq=False, slots=True)
class Scored:
    """One image's score map against its mask.

    `defect` is 'good' for a normal image. `counts` uint32 [2, LEVELS]: pixels by truth and logit level (pixels.py);
    `overlap` float32 [LEVELS] and `regions`: regions.py; `image_score`: the probability, 0..1, that there is a defect.
    """

    source_path: str
    defect: str
    counts: NDArray[np.uint32]
    overlap: Floats
    regions: int
    image_score: float


def score_image(source_path: str, defect: str, logits: Floats, mask: Mask) -> Scored:
    """Score the map of defect logits [H, W] of an image against its mask [H, W]."""
    counts = count_scores(logits, mask).astype(np.uint32)
    overlap, regions = region_overlap(logits, mask)
    return Scored(source_path, defect, counts, overlap.astype(np.float32), regions, image_score(logits))


def image_score(logits: Floats) -> float:
    """Return the largest defect probability of a score map [H, W] after a slight blur."""
    probability = 1 / (1 + np.exp(-np.clip(logits, -LOGIT_LIMIT, LOGIT_LIMIT)))
    return float(cv2.GaussianBlur(probability, (0, 0), SMOOTHING_PX).max())


def localisation_scores(scored: Sequence[Scored], defects: Sequence[str]) -> dict[str, float | None]:
    """Return every score, 0..1, over the images of `defects` and the normal ones, their pixels pooled.

    Those of pixels.SCORES, 'pro' (up to a false-positive rate of 0.3) and IMAGE_SCORES; None where one does not apply:
    pixel scores without a defect pixel, image scores without a defect image or without a normal one.
    """
    wanted = of_defects(scored, defects)
    counts = pooled_counts(wanted)
    overlap = sum((each.overlap.astype(np.float64) for each in wanted), np.zeros(LEVELS))
    normal = [each.image_score for each in wanted if each.defect == GOOD]
    defect = [each.image_score for each in wanted if each.defect != GOOD]
    return {
        **pixel_scores(counts),
        "pro": pro_score(overlap, sum(each.regions for each in wanted), counts),
        **image_scores(normal, defect),
    }


def of_defects(scored: Sequence[Scored], defects: Sequence[str]) -> list[Scored]:
    """Return the images of `defects` and the normal ones."""
    return [each for each in scored if each.defect in {GOOD, *defects}]


def pooled_counts(scored: Sequence[Scored]) -> Counts:
    """Return the counts of all pixels of the images, [2, LEVELS]."""
    return sum((each.counts.astype(np.int64) for each in scored), np.zeros((2, LEVELS), np.int64))


def image_scores(normal: Sequence[float], defect: Sequence[float]) -> dict[str, float | None]:
    """Return IMAGE_SCORES of scores of normal and of defect images, each 0..1; None where either kind is missing.

    AUROC, average precision, the largest F1 over all thresholds, and F1 at probability 0.5; a defect image is a
    positive.
    """
    if not normal or not defect:
        return dict.fromkeys(IMAGE_SCORES)
    truth, scores = [0] * len(normal) + [1] * len(defect), [*normal, *defect]
    precision, recall, _ = precision_recall_curve(truth, scores)
    values = (
        roc_auc_score(truth, scores),
        average_precision_score(truth, scores),
        hmean(np.stack([precision, recall])).max(),
        f1_score(truth, [score >= 0.5 for score in scores], zero_division=0),
    )
    return dict(zip(IMAGE_SCORES, map(float, values), strict=True))


def over_seeds(scores: Sequence[Mapping[str, float | None]]) -> dict[str, dict[str, Any] | None]:
    """Return mean, standard deviation (None for one seed) and values of each score; None where it does not apply."""
    given = {name: [row[name] for row in scores] for name in scores[0]}
    return {name: spread([round(value, 6) for value in found if value is not None]) for name, found in given.items()}


def spread(values: Sequence[float]) -> dict[str, Any] | None:
    """Return {mean, std, values}: std, the sample's, is None of a single value. None without any."""
    if not values:
        return None
    return {"mean": mean(values), "std": stdev(values) if len(values) > 1 else None, "values": list(values)}


def pack(scored: Sequence[Scored]) -> dict[str, NDArray[Any]]:
    """Return the images as plain arrays by field, [N, ...], for an npz file without pickles."""
    return {
        "source_path": np.array([each.source_path for each in scored], np.str_),
        "defect": np.array([each.defect for each in scored], np.str_),
        "counts": np.array([each.counts for each in scored], np.uint32).reshape(-1, 2, LEVELS),
        "overlap": np.array([each.overlap for each in scored], np.float32).reshape(-1, LEVELS),
        "regions": np.array([each.regions for each in scored], np.int64),
        "image_score": np.array([each.image_score for each in scored], np.float64),
    }


def unpack(arrays: Mapping[str, NDArray[Any]]) -> list[Scored]:
    """Return the images that `pack` made arrays of."""
    texts_and_numbers = (arrays[name].tolist() for name in ("source_path", "defect", "regions", "image_score"))
    rows = zip(*texts_and_numbers, arrays["counts"], arrays["overlap"], strict=True)
    return [
        Scored(source_path, defect, counts, overlap, regions, score)
        for source_path, defect, regions, score, counts, overlap in rows
    ]
