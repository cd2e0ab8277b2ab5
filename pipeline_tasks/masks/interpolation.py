"""Image-space mask interpolation (DefectSynth section III-C), between matched components instead of in raster order.

The paper averages the coordinates of white pixels paired in raster order, which makes combs and slabs of thin or
distant shapes. Here outlines are moved, point by point: a ribbon's follows its centre line, a spot's the other spot's
outline. The turn between two curves is interpolated on its own, modulo pi, before their points are averaged; filling
the moved outlines closes gaps along segments.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from pipeline_tasks.images.codec import Mask
from pipeline_tasks.masks.components import Component, RealMask
from pipeline_tasks.masks.shape import TOUCH_PX, Reason, Refusal, Shape, whole_shape
from pipeline_tasks.masks.skeleton import Points, Reals

AREA_SLACK = (0.5, 1.5)
"""An interpolated area may be this much below the smaller and above the larger parent's."""
WIDTH_RATIO_MAX = 4.0
"""Widths change as if the other parent's differed by at most this factor."""
KEPT_AREA = 0.8
"""A moved shape keeps at least this fraction of its area inside the image."""
STRETCH_MAX = 1.25
"""A shape that spans the image may be stretched by at most this factor to span it still."""
_SUBPIXEL_BITS = 4


@dataclass(frozen=True)
class Moved:
    """A closed outline, whose points `old` [N] came to `new` [N], in px of parent a's frame."""

    old: Points
    new: Points


def interpolate(a: RealMask, b: RealMask, alpha: float) -> Shape:
    """Return the shape at `alpha`, 0..1, on the way from `a` to `b`, in the frame of `a`.

    What runs out of the image in `a` still does; components of `a` without a counterpart in `b` stay as they are.
    alpha 0 and 1 return the parents, each in its own frame. Raises Refusal if the result is empty, in more pieces than
    `a`, largely outside the image, or its area leaves that of the parents by more than AREA_SLACK.
    """
    if alpha in (0, 1):
        return whole_shape((b if alpha else a).mask)
    frame = whole_shape(a.mask)
    moved = [_rest_on_borders(_move(*match, alpha), frame.size) for match in _match(a, b)]
    shape = _fill(moved, frame)
    check_between(shape, frame, whole_shape(b.mask), frame.pieces)
    return shape


def check_between(shape: Shape, a: Shape, b: Shape, pieces_max: int) -> None:
    """Raise Refusal if the area of `shape` leaves that of its parents by more than AREA_SLACK, or it is in pieces."""
    areas = (a.area_px, b.area_px)
    if not AREA_SLACK[0] * min(areas) <= shape.area_px <= AREA_SLACK[1] * max(areas):
        raise Refusal(Reason.AREA)
    if shape.pieces > pieces_max:
        raise Refusal(Reason.FRAGMENTED)


def _match(a: RealMask, b: RealMask) -> Iterator[tuple[Component, Component | None, complex]]:
    """Pair each component of `a` with the one of `b` nearest in place and size once the masks' centroids coincide.

    Also gives by how much the place differs, px.
    """
    places_a, places_b = (np.array([c.centre for c in m.components]) - m.centre for m in (a, b))
    sizes_a, sizes_b = (np.sqrt([c.area_px for c in m.components]) for m in (a, b))
    cost = np.abs(places_a[:, None] - places_b) + np.abs(sizes_a[:, None] - sizes_b)
    partner = dict(zip(*linear_sum_assignment(cost), strict=True))
    for i, component in enumerate(a.components):
        j = partner.get(i)
        yield (component, None, 0j) if j is None else (component, b.components[j], places_b[j] - places_a[i])


def _move(a: Component, b: Component | None, shift: complex, alpha: float) -> list[Moved]:
    if b is None:
        return [Moved(outline, outline) for outline in a.outlines]
    moved = _move_ribbon(a, b, alpha) if a.is_ribbon else [_move_spot(a, b, alpha)]
    return [Moved(m.old, m.new + a.centre + alpha * shift) for m in moved]


def _move_ribbon(a: Component, b: Component, alpha: float) -> list[Moved]:
    """Move the outlines of `a` with its centre line towards that of `b`, and widen them towards its width.

    New points are relative to the centre. Branches keep their course and stay attached.
    """
    line = a.skeleton.line - a.centre
    goal, width_ratio = _facing_line(a, b)
    turn = np.angle(_inner(line, goal))
    bend = alpha * (goal * np.exp(-1j * turn) - line)
    carried = a.skeleton.carry(np.stack([bend.real, bend.imag, alpha * np.log(width_ratio)], axis=1))
    bend, growth = carried[:, 0] + 1j * carried[:, 1], np.exp(carried[:, 2])
    moved = []
    for outline, nearest in zip(a.outlines, a.nearest, strict=True):
        spine = a.skeleton.points[nearest]
        new = spine - a.centre + bend[nearest] + _widen(outline - spine, growth[nearest])
        moved.append(Moved(outline, new * np.exp(1j * alpha * turn)))
    return moved


def _facing_line(a: Component, b: Component) -> tuple[Points, Reals]:
    """Return the centre line of `b`, from the end that turns it least against that of `a`, and half-widths b / a."""
    line, both_ways = a.skeleton.line - a.centre, (a.skeleton.position, 1 - a.skeleton.position)
    goals = [np.interp(u, b.skeleton.position, b.skeleton.line - b.centre) for u in both_ways]
    best = int(np.argmax([_inner(line, goal).real for goal in goals]))
    half_width = np.interp(both_ways[best], b.skeleton.position, b.skeleton.line_half_width)
    ratio = half_width / a.skeleton.line_half_width
    return goals[best], np.clip(ratio, 1 / WIDTH_RATIO_MAX, WIDTH_RATIO_MAX)


def _inner(a: Points, b: Points) -> complex:
    return complex(np.vdot(a - a.mean(), b - b.mean()))


def _widen(offset: Points, growth: Reals) -> Points:
    """Scale the distance from the centre line, counted to the outer edge of the outline's pixels, by `growth`."""
    distance = np.abs(offset)
    return offset * np.maximum((distance + 0.5) * growth - 0.5, 0) / np.maximum(distance, 1e-9)


def _move_spot(a: Component, b: Component, alpha: float) -> Moved:
    """Average the outer outlines, by arc length, from the start and at the turn that fit best; holes are filled.

    New points are relative to the centre.
    """
    count = max(len(a.outlines[0]), len(b.outlines[0]))
    old, goal = _resample(a.outlines[0], count), _resample(b.outlines[0], count) - b.centre
    fit = np.fft.ifft(np.conj(np.fft.fft(old - a.centre)) * np.fft.fft(goal))
    start = int(np.argmax(np.where(fit.real >= 0, np.abs(fit) + 0.1 * fit.real, 0)))
    turn = np.angle(fit[start])
    goal = np.roll(goal, -start) * np.exp(-1j * turn)
    return Moved(old, ((1 - alpha) * (old - a.centre) + alpha * goal) * np.exp(1j * alpha * turn))


def _resample(outline: Points, count: int) -> Points:
    """Return `count` points at equal distances along the closed `outline`."""
    closed = np.append(outline, outline[0])
    walked = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(closed)))])
    return np.asarray(np.interp(np.arange(count) / count * walked[-1], walked, closed))


def _rest_on_borders(outlines: list[Moved], size: tuple[int, int]) -> list[Moved]:
    """Shift, or stretch between opposite borders, so that all of what ran out of the image of `size` still does."""
    old, new = (np.concatenate([getattr(m, side) for m in outlines]) for side in ("old", "new"))
    rested = _rest(old.real, new.real, size[0]) + 1j * _rest(old.imag, new.imag, size[1])
    ends = np.cumsum([len(m.old) for m in outlines])[:-1]
    return [Moved(m.old, part) for m, part in zip(outlines, np.split(rested, ends), strict=True)]


def _rest(old: Reals, new: Reals, length: int) -> Reals:
    low, high = new[old < TOUCH_PX], new[old >= length - TOUCH_PX]
    if low.size and high.size:
        stretch = (length - 1) / max(high.min() - low.max(), 1)
        check_stretch(stretch)
        return np.asarray((new - low.max()) * stretch)
    if low.size:
        return np.asarray(new - low.max())
    return np.asarray(new - high.min() + length - 1) if high.size else new


def check_stretch(factor: float) -> None:
    """Raise Refusal if a shape would have to be stretched by more than STRETCH_MAX, either way, to span the image."""
    if not 1 / STRETCH_MAX <= factor <= STRETCH_MAX:
        raise Refusal(Reason.SHORT)


def _fill(components: list[list[Moved]], frame: Shape) -> Shape:
    """Fill the moved outlines and cut them at the borders of `frame` that its shape runs out of."""
    points = np.concatenate([m.new for outlines in components for m in outlines])
    left, top = int(np.floor(points.real.min())), int(np.floor(points.imag.min()))
    canvas = np.zeros((int(points.imag.max()) - top + 2, int(points.real.max()) - left + 2), bool)
    for outlines in components:
        corners = [np.stack([m.new.real - left, m.new.imag - top], axis=1) * 2**_SUBPIXEL_BITS for m in outlines]
        fixed = [np.rint(c).astype(np.int32) for c in corners]
        canvas |= cv2.fillPoly(np.zeros(canvas.shape, np.uint8), fixed, 1, shift=_SUBPIXEL_BITS).astype(bool)
    return cut_at_borders(canvas, (left, top), frame)


def cut_at_borders(canvas: Mask, corner: tuple[int, int], frame: Shape) -> Shape:
    """Return `canvas`, bool [h, w], at `corner` (x, y) of `frame`, cut at the borders that its shape runs out of.

    Raises Refusal if little or nothing is left.
    """
    left, top = corner
    (x0, x1), (y0, y1) = (
        _inside(start, start + canvas.shape[1 - axis], axis, frame) for axis, start in enumerate(corner)
    )
    mask = canvas[y0 - top : y1 - top, x0 - left : x1 - left]
    if not mask.any():
        raise Refusal(Reason.EMPTY)
    if mask.sum() < KEPT_AREA * canvas.sum():
        raise Refusal(Reason.CLIPPED)
    return Shape(mask, (x0, y0), frame.size, frame.sides)


def _inside(start: int, stop: int, axis: int, frame: Shape) -> tuple[int, int]:
    """Return the part of start..stop along `axis` that `frame` does not cut off."""
    low = max(start, 0) if (axis, 0) in frame.sides else start
    high = min(stop, frame.size[axis]) if (axis, 1) in frame.sides else stop
    return low, max(low, high)
