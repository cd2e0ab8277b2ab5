"""The level of the surface around and under a hole: what pixels are measured against (METHODS section 3a)."""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.images.boxes import Box, crop
from pipeline_tasks.images.codec import Mask, Pixels

Floats = NDArray[np.float32]
CELL_PX = 4
"""Slow fields are computed on cells of so many px."""
REACHES_PX = (48, 12)
"""Standard deviations of the context that is averaged, the far one first."""
TRUST = 0.05
"""Share of known context below which the farther context counts more than the near one."""
MARGIN_PX = 48
"""How much of an image around a part of it is context."""


def grown(box: Box) -> Box:
    """Return a box with MARGIN_PX more on every side."""
    return Box(box.y - MARGIN_PX, box.x - MARGIN_PX, box.height + 2 * MARGIN_PX, box.width + 2 * MARGIN_PX)


def level_within(pixels: Pixels, hole: Mask, box: Box) -> Floats:
    """Return the level [h, w, 3] of the part `box` of an image [H, W, 3] with a hole [H, W].

    Deep inside a wide hole it is the mean of all that is known of the image.
    """
    around = grown(box)
    known = ~crop(hole, around).astype(bool)
    if not known.any() and not hole.all():
        return np.broadcast_to(pixels[~hole].mean(axis=0), (box.height, box.width, 3)).astype(np.float32)
    return trimmed(level_field(crop(pixels, around).astype(np.float32), known))


def trimmed(field: Floats) -> Floats:
    """Return a field without its margin."""
    return field[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]


def level_field(pixels: Floats, known: Mask) -> Floats:
    """Return the slowly varying colour [H, W, 3] of the `known` pixels of an image [H, W, 3], and of it under the rest.

    Normalised convolution (Knutsson & Westin 1993) over the near context; where none of that is known, over the far
    one, and beyond that the mean of all that is known. An image with nothing known is its own context.
    """
    if not known.any():
        known = np.ones_like(known)
    weight, total = _cells(known.astype(np.float32)), _cells(pixels * known[..., None])
    field = np.broadcast_to(total.sum(axis=(0, 1)) / weight.sum(), total.shape).astype(np.float32)
    for reach in REACHES_PX:
        near, sums = _blurred(weight, reach / CELL_PX), _blurred(total, reach / CELL_PX)
        field = (sums + TRUST * field) / (near + TRUST)[..., None]
    height, width = known.shape
    return np.asarray(cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _cells(plane: Floats) -> Floats:
    height, width = (-(-side // CELL_PX) for side in plane.shape[:2])
    return np.asarray(cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _blurred(plane: Floats, deviation: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), deviation, borderType=cv2.BORDER_REPLICATE), np.float32)
