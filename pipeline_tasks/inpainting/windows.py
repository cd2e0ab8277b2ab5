"""Windows around a defect at native resolution (METHODS section 3a)."""

import numpy as np

from pipeline_tasks.images.boxes import Box, crop, fit
from pipeline_tasks.images.codec import Mask
from pipeline_tasks.inpainting.level import Floats

CONTEXT_PX = 12
"""How far around the hole pixels count as its local context."""


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
