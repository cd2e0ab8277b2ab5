"""Rectangles in images, which may exceed them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in an image: top-left corner and sides, in px. It may exceed the image: the edge is then repeated."""

    y: int
    x: int
    height: int
    width: int


def box_around(center_yx: tuple[int, int], side_px: int, shape: tuple[int, ...]) -> Box:
    """Return the square of `side_px` around a point, shifted into an image of `shape` where it fits."""
    y, x = (fit(c - side_px // 2, side_px, size) for c, size in zip(center_yx, shape, strict=False))
    return Box(y, x, side_px, side_px)


def bounding_box(mask: NDArray[np.bool_], margin_px: int) -> Box:
    """Return the rectangle around the pixels of `mask` [H, W], which has some, and `margin_px` more on every side."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = (int(at[-1] - at[0]) + 1 + 2 * margin_px for at in (rows, columns))
    return Box(int(rows[0]) - margin_px, int(columns[0]) - margin_px, height, width)


def fit(start: int, side: int, size: int) -> int:
    """Return `start` shifted so that `side` px from there lie inside 0..`size`; centred if they do not fit."""
    return (size - side) // 2 if side >= size else min(max(start, 0), size - side)


def crop(array: NDArray[np.generic], box: Box) -> NDArray[np.generic]:
    """Return the part of `array` [H, W, ...] inside `box`; beyond the image its edge is repeated."""
    ys = np.clip(np.arange(box.y, box.y + box.height), 0, array.shape[0] - 1)
    xs = np.clip(np.arange(box.x, box.x + box.width), 0, array.shape[1] - 1)
    return np.asarray(array[:, xs[0] : xs[-1] + 1].take(ys, axis=0).take(xs - xs[0], axis=1))


def union(boxes: list[Box]) -> Box:
    """Return the smallest rectangle around `boxes`."""
    y, x = min(b.y for b in boxes), min(b.x for b in boxes)
    return Box(y, x, max(b.y + b.height for b in boxes) - y, max(b.x + b.width for b in boxes) - x)


def inside(mask: NDArray[np.bool_], box: Box) -> NDArray[np.bool_]:
    """Return the part of `mask` [H, W] inside `box` as bool [h, w]; beyond the image there is no mask."""
    ys, xs = np.arange(box.y, box.y + box.height), np.arange(box.x, box.x + box.width)
    known = ((ys >= 0) & (ys < mask.shape[0]))[:, None] & (xs >= 0) & (xs < mask.shape[1])
    return np.asarray(crop(mask, box).astype(bool) & known)
