"""How far generated masks overlap with known ones (DefectSynth, table VI: mask IoU)."""

from collections.abc import Sequence

import cv2
import numpy as np
from scipy.spatial.distance import cdist, jaccard

from pipeline_tasks.images.boxes import Box, inside
from pipeline_tasks.images.codec import Mask

LARGEST_SIDE_PX = 128
"""Masks that reach further are scaled down before they are laid on each other."""


def mask_iou(one: Mask, other: Mask) -> float:
    """Return the intersection over union, 0..1, of two masks bool [H, W]; 1 if both are empty."""
    return 1 - float(jaccard(one.ravel(), other.ravel()))


def nearest_mask_iou(generated: Sequence[Mask], known: Sequence[Mask]) -> float | None:
    """Return the mean over the generated masks of the largest IoU with a known one, 0..1; None without either.

    Masks bool [H, W], none empty, are laid on each other by their centroids, at one scale. High: shapes like the known
    ones. 1: nothing but copies of them.
    """
    if not generated or not known:
        return None
    side = 2 * max(_reach(mask) for mask in [*generated, *known]) + 1
    made, own = (np.stack([_centred(mask, side).ravel() for mask in masks]) for masks in (generated, known))
    return float((1 - cdist(made, own, "jaccard")).max(1).mean())


def _reach(mask: Mask) -> int:
    """Return how far, in px, the mask reaches from its centroid, along rows or columns."""
    ys, xs = np.nonzero(mask)
    y, x = _centroid(mask)
    return int(max(np.abs(ys - y).max(), np.abs(xs - x).max()))


def _centroid(mask: Mask) -> tuple[int, int]:
    ys, xs = np.nonzero(mask)
    return int(ys.mean() + 0.5), int(xs.mean() + 0.5)


def _centred(mask: Mask, side: int) -> Mask:
    """Return the square of `side` px around the mask's centroid, scaled down to LARGEST_SIDE_PX if larger."""
    y, x = _centroid(mask)
    square = inside(mask, Box(y - side // 2, x - side // 2, side, side))
    if side <= LARGEST_SIDE_PX:
        return square
    size = (LARGEST_SIDE_PX, LARGEST_SIDE_PX)
    # A pixel that holds any defect is defect: thin cracks would vanish under a threshold.
    return cv2.resize(square.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
