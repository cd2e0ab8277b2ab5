"""Masks between two real ones that a latent model draws (DefectSynth Eq. 4), brought into the first one's image."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from pipeline_tasks.images.codec import Mask
from pipeline_tasks.masks.components import RealMask
from pipeline_tasks.masks.interpolation import check_between, check_stretch, cut_at_borders
from pipeline_tasks.masks.shape import Reason, Refusal, Shape, whole_shape

Morph = Callable[[Mask, Mask, float], Mask]
"""(mask, mask, alpha) -> square bool [S, S], px: the defect at `alpha`, 0..1, on the way from the one to the other.

The masks are bool [H, W] of images of any size. The middle of the square is the middle of the defect's bounding box.
"""
LEAST_LIKENESS = 0.8
"""A model that keeps real masks less well than this (IoU) is not trained to draw the ones between them."""
SMALLEST_PIECE_PX = 6
"""Pieces with fewer pixels are taken for the codec's crumbs."""


def interpolate_latent(a: RealMask, b: RealMask, alpha: float, morph: Morph) -> Shape:
    """Return what `morph` draws at `alpha`, 0..1, on the way from `a` to `b`, in the frame and at the place of `a`.

    What runs out of the image in `a` still does. alpha 0 and 1 return the parents, each in its own frame.
    Raises Refusal if the result is empty, in more pieces than either parent, largely outside the image, or its area
    is far from both parents'.
    """
    if alpha in (0, 1):
        return whole_shape((b if alpha else a).mask)
    frame = whole_shape(a.mask)
    drawn = _without_crumbs(morph(a.mask, b.mask, alpha))
    rested = _rest_on_borders(drawn, _corner(a.mask, len(drawn)), frame)
    check_between(rested, frame, whole_shape(b.mask), max(frame.pieces, whole_shape(b.mask).pieces))
    return rested


def likeness(masks: Sequence[RealMask], morph: Morph) -> float:
    """Return the mean IoU of `masks` with what `morph` makes of each alone: 1 if it is well trained."""
    found = []
    for real in masks:
        drawn = morph(real.mask, real.mask, 0.0)
        (x, y), (height, width) = _corner(real.mask, len(drawn)), real.mask.shape
        ys, xs = np.arange(y, y + len(drawn)), np.arange(x, x + len(drawn))
        drawn = drawn[np.ix_((ys >= 0) & (ys < height), (xs >= 0) & (xs < width))]
        common = int((drawn & real.mask[max(y, 0) : y + len(ys), max(x, 0) : x + len(xs)]).sum())
        found.append(common / (int(drawn.sum()) + int(real.mask.sum()) - common))
    return float(np.mean(found))


def _corner(mask: Mask, side: int) -> tuple[int, int]:
    """Return the corner (x, y) of the square of `side` px around the middle of the defect's bounding box."""
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return (2 * x + width - side) // 2, (2 * y + height - side) // 2


def _without_crumbs(mask: Mask) -> Mask:
    """Return `mask`, bool [S, S], without its smallest pieces. Raises Refusal if none is left."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    kept = stats[:, cv2.CC_STAT_AREA] >= SMALLEST_PIECE_PX
    kept[0] = False
    clean = kept[labels]
    if not clean.any():
        raise Refusal(Reason.EMPTY)
    return np.asarray(clean)


def _rest_on_borders(drawn: Mask, place: tuple[int, int], frame: Shape) -> Shape:
    """Put `drawn`, bool [S, S], at `place` (x, y) of `frame`, and shift or stretch it to the borders `frame` rests on.

    Raises Refusal.
    """
    ends = [np.flatnonzero(drawn.any(axis=axis))[[0, -1]] for axis in (0, 1)]
    mask = drawn[ends[1][0] : ends[1][1] + 1, ends[0][0] : ends[0][1] + 1]
    size, corner = [mask.shape[1], mask.shape[0]], [0, 0]
    for axis, length in enumerate(frame.size):
        first, last = (axis, 0) in frame.sides, (axis, 1) in frame.sides
        if first and last:
            check_stretch(length / size[axis])
            size[axis] = length
        corner[axis] = place[axis] + int(ends[axis][0])
        if first or last:
            corner[axis] = 0 if first else length - size[axis]
    stretched = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(bool)
    return cut_at_borders(stretched, (corner[0], corner[1]), frame)
