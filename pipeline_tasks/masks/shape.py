"""A defect's shape in the frame of the real mask it comes from, and the reasons to refuse one."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.images.codec import Mask

TOUCH_PX = 2
"""A defect with a pixel fewer than this many px from a border runs out of the image there."""

Side = tuple[int, int]
"""(axis, end) of a border: axis 0 = x, 1 = y; end 0 = left or top, 1 = right or bottom."""


class Reason(StrEnum):
    """Why a shape or a placement was refused."""

    EMPTY = "empty mask"
    AREA = "area far from both parents'"
    FRAGMENTED = "in more pieces than its parent"
    TOO_LARGE = "larger than the object on the normal image"
    SHORT = "does not reach the borders its parent runs out of"
    OVERFLOW = "touches a border its parent does not touch"
    CLIPPED = "too much of it outside the image"
    BACKGROUND = "partly outside the object"


class Refusal(Exception):  # noqa: N818 - an expected outcome of one attempt, not an error
    """One attempt at a mask came to nothing; the next one may succeed."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, eq=False)
class Shape:
    """`mask`, bool [h, w], whose pixel (0, 0) is at `corner` (x, y) of a frame of `size` (width, height) px.

    `sides` are the frame's borders where it runs out of the image.
    """

    mask: Mask
    corner: tuple[int, int]
    size: tuple[int, int]
    sides: frozenset[Side]

    @cached_property
    def area_px(self) -> int:
        """Defect pixels."""
        return int(self.mask.sum())

    @cached_property
    def pieces(self) -> int:
        """How many 8-connected pieces it has."""
        return count_pieces(self.mask)

    @cached_property
    def points(self) -> NDArray[np.float64]:
        """Defect pixels (x, y) in the frame, [N, 2]."""
        ys, xs = np.nonzero(self.mask)
        return np.stack([xs, ys], axis=1).astype(np.float64) + self.corner

    @cached_property
    def hull(self) -> NDArray[np.float64]:
        """Corners (x, y) of the convex hull of `points`, [M, 2]."""
        return np.asarray(cv2.convexHull(self.points.astype(np.float32))[:, 0], np.float64)

    @cached_property
    def cuts(self) -> dict[Side, NDArray[np.float64]]:
        """The points along each border where the shape runs out, [K, 2]. Raises Refusal if there are none along one."""
        cuts = {(axis, end): self.points[_near(self.points[:, axis], end, self.size[axis])] for axis, end in self.sides}
        if not all(map(len, cuts.values())):
            raise Refusal(Reason.SHORT)
        return cuts


def whole_shape(mask: Mask) -> Shape:
    """Return a real mask, bool [H, W], as a shape in its own frame."""
    size = (mask.shape[1], mask.shape[0])
    return Shape(mask, (0, 0), size, touched_sides(mask, TOUCH_PX))


def touched_sides(mask: Mask, within_px: int) -> frozenset[Side]:
    """Return the borders of `mask`, bool [H, W], that have a defect pixel among their `within_px` rows or columns."""
    rims = {
        (0, 0): mask[:, :within_px], (0, 1): mask[:, -within_px:], (1, 0): mask[:within_px], (1, 1): mask[-within_px:],
    }  # fmt: skip
    return frozenset(side for side, rim in rims.items() if rim.any())


def count_pieces(mask: Mask) -> int:
    """Return the number of 8-connected pieces of `mask`, bool [H, W]."""
    return int(cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0]) - 1


def _near(along: NDArray[np.float64], end: int, length: int) -> Mask:
    return along >= length - TOUCH_PX if end else along < TOUCH_PX
