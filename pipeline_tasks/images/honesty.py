"""Does a label tell the truth: is what changed in a generated image what the mask marks? (METHODS section 4)

Measured before the composite, which would hide what spilt over the mask's edge. From histograms of the change: sorting
the pixels of a large part would take longer than a small generator takes to make it.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.images.codec import Mask

Change = NDArray[np.float32]
VISIBLE_LEVELS = 4.0
"""Least change that a person might see, grey levels."""
RANKS = 4096
BINS = 1024
WHITE = 255.0


def change_between(generated: NDArray[np.float32], unchanged: NDArray[np.float32]) -> Change:
    """Return the mean absolute difference over the channels, grey levels [h, w], of two RGB images [h, w, 3]."""
    return np.asarray(np.abs(generated - unchanged).mean(axis=2), np.float32)


def alignment(change: Change, mask: Mask) -> float:
    """Return how well `change` [h, w] tells the pixels of `mask` [h, w] from the others: 0 = by chance, 1 = perfectly.

    The average precision AP of the change as a score for the mask, above what chance gives, the mask's share p of the
    part: (AP - p) / (1 - p). Below 0 counts as 0. A mask that fills the part or is absent from it gives 0.
    Changes are told apart to a RANKS-th of the largest one.
    """
    share = float(mask.mean())
    if share in (0.0, 1.0) or not change.any():
        return 0.0
    rank = (change * (RANKS / change.max())).astype(np.intp)
    found, taken = (np.bincount(rank[on].ravel(), minlength=RANKS + 1)[::-1].cumsum() for on in (mask, np.s_[:]))
    gained = np.diff(found, prepend=0) / found[-1]
    precision = float((gained * found / np.maximum(taken, 1)).sum())
    return max(0.0, (precision - share) / (1 - share))


def label_iou(change: Change, mask: Mask) -> float:
    """Return the intersection over union of `mask` [h, w] and the pixels that `change` [h, w]; 0 if there are none.

    Thin masks never reach 1: a generator may change a few px around them.
    """
    changed = changed_pixels(change)
    together = int((mask | changed).sum())
    return int((mask & changed).sum()) / together if together else 0.0


def changed_pixels(change: Change) -> Mask:
    """Return the pixels [h, w] that changed visibly, and more than the change's own iterative threshold says.

    The threshold (Ridler & Calvard 1978) lies midway between the means of what it parts: about half of the defect's
    contrast, where people draw its edge, however strong it is.
    """
    from skimage.filters import threshold_isodata

    counts = cv2.calcHist([np.minimum(change, WHITE)], [0], None, [BINS], [0, WHITE + 1]).ravel()
    levels = np.arange(BINS) * (WHITE + 1) / BINS
    return np.asarray(change >= max(VISIBLE_LEVELS, float(threshold_isodata(hist=(counts, levels)))))


def spill(change: Change, near: Mask) -> float:
    """Return the share of the visible `change` [h, w] that lies outside `near` [h, w], the dilated mask; 0 without any.

    Changes below VISIBLE_LEVELS do not count: a codec's normalisation layers spread a little over all of an image.
    """
    visible = np.where(change >= VISIBLE_LEVELS, change, 0)
    total = float(visible.sum())
    return float(visible[~near].sum()) / total if total else 0.0
