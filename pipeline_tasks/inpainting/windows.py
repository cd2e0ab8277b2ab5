"""Windows around a defect at native resolution, and the appearance code (METHODS section 3a)."""

import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.images.boxes import Box, crop, fit
from pipeline_tasks.images.codec import Mask
from pipeline_tasks.images.composite import dilate

Floats = NDArray[np.float32]
CONTEXT_PX = 12
"""How far around the hole pixels count as its local context."""


def context_level(window: Floats, hole: Mask) -> Floats:
    """Return the mean colour [3] of the known pixels near the hole; of all known ones, or all, if there are none."""
    known = ~hole
    near = dilate(hole, CONTEXT_PX) & known
    chosen = near if near.any() else known if known.any() else np.ones_like(hole)
    return np.asarray(window[chosen].mean(axis=0), np.float32)


def appearance_code(window: Floats, mask: Mask, level: Floats, scale: float) -> Floats:
    """Return the code [6] of a defect: mean and standard deviation per channel of its pixels, (RGB - level) / scale."""
    inside = (window[mask] - level) / scale
    return np.concatenate([inside.mean(axis=0), inside.std(axis=0)]).astype(np.float32)


def cover(hole: Mask, side_px: int) -> list[Box]:
    """Return squares that cover the hole [H, W] and its context: one of `side_px` if it fits, else some twice as wide.

    The wide ones overlap by a quarter of their side.
    """
    rows, columns = np.nonzero(hole.any(axis=1))[0], np.nonzero(hole.any(axis=0))[0]
    extent = max(int(rows[-1] - rows[0]), int(columns[-1] - columns[0])) + 1 + 2 * CONTEXT_PX
    side = side_px if extent <= side_px else 2 * side_px
    squares = [
        Box(y, x, side, side)
        for y in _starts(int(rows[0]), int(rows[-1]), side, hole.shape[0])
        for x in _starts(int(columns[0]), int(columns[-1]), side, hole.shape[1])
    ]
    return [box for box in squares if crop(hole, box).any()]


def _starts(low: int, high: int, side: int, size: int) -> list[int]:
    extent = high - low + 1 + 2 * CONTEXT_PX
    if extent <= side:
        return [fit((low + high + 1 - side) // 2, side, size)]
    count = -(-(extent - side) // (side - side // 4)) + 1
    return [round(s) for s in np.linspace(low - CONTEXT_PX, high + 1 + CONTEXT_PX - side, count)]


def window_weight(side_px: int) -> Floats:
    """Return the weight [S, S] of a window's pixels where windows overlap: highest in the middle, never 0."""
    ramp = 1.05 - np.abs(2 * (np.arange(side_px) + 0.5) / side_px - 1)
    return np.outer(ramp, ramp).astype(np.float32)
