"""Per-region overlap: every defect counts alike, however small (Bergmann et al., MVTec AD, CVPR 2019 and IJCV 2021)."""

import cv2
import numpy as np
from sklearn.metrics import auc

from pipeline_tasks.images.codec import Mask
from pipeline_tasks.measures.pixels import LEVELS, Counts, Floats, Reals, logit_levels

MAX_FPR = 0.3
"""The paper integrates up to this false-positive rate."""


def region_overlap(logits: Floats, mask: Mask) -> tuple[Reals, int]:
    """Return the overlap of one score map [H, W] with its mask [H, W], and the number of regions in the mask.

    A region is an 8-connected piece. The overlap [LEVELS] is the share of a region's pixels at each logit level, summed
    over the regions: like counts, those of images add up.
    """
    regions, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    owners = labels[mask]
    shares = 1 / np.maximum(np.bincount(owners, minlength=regions), 1)
    overlap = np.bincount(logit_levels(logits[mask]), weights=shares[owners], minlength=LEVELS)
    return overlap.astype(np.float64), regions - 1


def pro_score(overlap: Reals, regions: int, counts: Counts, max_fpr: float = MAX_FPR) -> float | None:
    """Return the mean overlap of predictions with a region, averaged over false-positive rates 0..`max_fpr`; 0..1.

    `overlap` [LEVELS], `regions` and `counts` [2, LEVELS] are sums over images; false-positive rates are of all their
    normal pixels. None without a region or without a normal pixel.
    """
    if not regions or not counts[0].any():
        return None
    rates = np.cumsum([0, *counts[0][::-1]]) / counts[0].sum()
    overlaps = np.cumsum([0, *overlap[::-1]]) / regions
    within = rates <= max_fpr
    last = np.interp(max_fpr, rates, overlaps)
    area = auc([*rates[within], max_fpr], [*overlaps[within], last])
    return min(float(area / max_fpr), 1.0)
