"""Where on a normal image a defect lands, and at which turn and size (METHODS section 2, placement).

A defect keeps its native size apart from a small scale, stays on the object, and goes where base masks were seen. What
runs out of its own image runs out of the same borders of the normal image; nothing else touches a border. It is turned
by a little about its own orientation, so that the orientations seen in base masks are kept (and, with flips, mirrored).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.images.codec import MASK_THRESHOLD, Mask
from pipeline_tasks.images.composite import dilate
from pipeline_tasks.masks.shape import TOUCH_PX, Reason, Refusal, Shape, Side, count_pieces, touched_sides
from pipeline_tasks.params import Masks

Points = NDArray[np.float64]
FITTED = 0.9
"""A shape that is fitted keeps within this share of the object's extent, so that there is room to place it."""
KEPT_AREA = 0.5
"""A shape that runs out of the image keeps at least this fraction of its area inside."""

RESAMPLING_GAP_PX = 1
"""Drawing a line of a pixel's width at another angle may leave gaps of a pixel; they do not count as breaks."""


@dataclass(frozen=True)
class Seen:
    """Where a real defect was: `at` per axis, 0..1, how much of the room its size left on the object was before it."""

    sides: frozenset[Side]
    at: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Placement:
    """`mask`, bool [H, W], size of the normal image; `warp` [2, 3], affine from the shape's frame to it, px."""

    mask: Mask
    warp: Points


def see(shape: Shape, on: Mask) -> Seen:
    """Return where `shape` is on the object `on`, bool [H, W], of its own image."""
    x, y = (_position(shape.hull[:, axis], *_extent(on, axis)) for axis in (0, 1))
    return Seen(shape.sides, (x, y))


def _position(along: Points, low: int, high: int) -> float:
    room = (high - low) - (along.max() - along.min())
    return float(np.clip((along.min() - low) / room, 0, 1)) if room > 0 else 0.5


def _extent(on: Mask, axis: int) -> tuple[int, int]:
    """Return the first and last x (axis 0) or y (axis 1) of the object, clear of the image's borders."""
    along = np.flatnonzero(on.any(axis=axis))
    if not along.size:
        raise Refusal(Reason.BACKGROUND)
    return max(int(along[0]), TOUCH_PX), min(int(along[-1]), on.shape[1 - axis] - 1 - TOUCH_PX)


def place(
    shape: Shape, on: Mask, seen: Sequence[Seen], params: Masks, rng: np.random.Generator, foreign: bool = False
) -> Placement:
    """Turn, scale, flip and move `shape` onto the object `on`, bool [H, W], of a normal image.

    The place is that of one of `seen` which runs out of the same borders, moved towards a random one by
    params.placement_spread. The mask is cv2.warpAffine of the shape, linear, over the threshold. Raises Refusal.
    A `foreign` shape was seen on another product: it goes anywhere on the object, made small enough for it.
    """
    alike = [s for s in seen if s.sides == shape.sides] or seen
    near = alike[int(rng.integers(len(alike)))].at
    turned = _random_turn(shape.sides, params, rng)
    if foreign:
        turned = turned * _fitting(shape, turned, on)
    anywhere, spread = rng.random(2), 1.0 if foreign else params.placement_spread
    shift = []
    for axis in (0, 1):
        (lowest, highest), preferred = _room(shape, turned[axis], axis, on, near[axis])
        shift.append(lowest + ((1 - spread) * preferred + spread * anywhere[axis]) * (highest - lowest))
    placement = draw(shape, np.column_stack([turned, shift]), (on.shape[1], on.shape[0]))
    _check(placement.mask, shape, abs(np.linalg.det(turned)), on)
    return placement


def _random_turn(sides: frozenset[Side], params: Masks, rng: np.random.Generator) -> Points:
    """Return a random rotation, scale and flip, [2, 2]; a flip must not bring the shape to another border."""
    angle = np.radians(rng.uniform(-params.rotation_degrees, params.rotation_degrees))
    scale = np.exp(rng.uniform(np.log(params.scale_min), np.log(params.scale_max)))
    both_or_neither = [((axis, 0) in sides) == ((axis, 1) in sides) for axis in (0, 1)]
    signs = [-1.0 if params.flip and free and rng.random() < 0.5 else 1.0 for free in both_or_neither]
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]]) * signs


def _fitting(shape: Shape, turned: Points, on: Mask) -> float:
    """Return the scale, at most 1, at which `shape` under `turned` [2, 2] fits the object.

    Along an axis where it runs out of both borders it may be larger.
    """
    extents = [
        (_extent(on, axis), float(np.ptp(shape.hull @ turned[axis])))
        for axis in (0, 1)
        if not {(axis, 0), (axis, 1)} <= shape.sides
    ]
    return min([1.0, *(FITTED * (high - low) / max(length, 1.0) for (low, high), length in extents)])


def _room(shape: Shape, turned: Points, axis: int, on: Mask, near: float) -> tuple[tuple[float, float], float]:
    """Return the least and largest translation, px, along `axis`, where `turned` @ (x, y) is, and the preferred, 0..1.

    A shape that runs out of borders has its cut ends there or beyond; any other stays on the object.
    """
    along, last = shape.hull @ turned, on.shape[1 - axis] - 1
    before, after = _cut_ends(shape, turned, axis)
    beyond = (1 - KEPT_AREA) * float(np.ptp(along))
    if before is not None and after is not None:
        return _ordered(last - after, -before, Reason.SHORT), near
    if before is not None:
        return (-before - beyond, -before), 1.0
    if after is not None:
        return (last - after, last - after + beyond), 0.0
    low, high = _extent(on, axis)
    return _ordered(low - along.min(), high - along.max(), Reason.TOO_LARGE), near


def _cut_ends(shape: Shape, turned: Points, axis: int) -> tuple[float | None, float | None]:
    """Return how far inside, along `axis`, the cut at the lower border reaches, and that at the upper one."""
    low, high = (shape.cuts[axis, end] @ turned if (axis, end) in shape.sides else None for end in (0, 1))
    before, after = (low, high) if turned[axis] > 0 else (high, low)
    return None if before is None else float(before.max()), None if after is None else float(after.min())


def _ordered(least: float, most: float, otherwise: Reason) -> tuple[float, float]:
    if most < least:
        raise Refusal(otherwise)
    return float(least), float(most)


def draw(shape: Shape, warp: Points, size: tuple[int, int]) -> Placement:
    """Draw `shape` under `warp` [2, 3] on an image of `size` (width, height): linear, over the mask threshold."""
    from_mask = np.column_stack([warp[:, :2], warp[:, :2] @ shape.corner + warp[:, 2]])
    grey = cv2.warpAffine(shape.mask.astype(np.uint8) * np.uint8(255), from_mask, size, flags=cv2.INTER_LINEAR)
    return Placement(np.asarray(grey > MASK_THRESHOLD), warp)


def _check(mask: Mask, shape: Shape, scale: float, on: Mask) -> None:
    """Raise Refusal unless the placed `mask` is what `shape` promises; `scale` is of areas."""
    if not mask.any():
        raise Refusal(Reason.EMPTY)
    if mask.sum() < KEPT_AREA * scale * shape.area_px:
        raise Refusal(Reason.CLIPPED)
    touched = touched_sides(mask, 1)
    if touched != shape.sides:
        raise Refusal(Reason.OVERFLOW if touched - shape.sides else Reason.SHORT)
    if (mask & ~on).any():
        raise Refusal(Reason.BACKGROUND)
    if count_pieces(dilate(mask, RESAMPLING_GAP_PX)) > shape.pieces:
        raise Refusal(Reason.FRAGMENTED)
