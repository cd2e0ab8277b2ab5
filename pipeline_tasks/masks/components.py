"""The pieces of a real mask, with what interpolating between two of them needs."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial import cKDTree

from pipeline_tasks.images.codec import Mask
from pipeline_tasks.masks.skeleton import Indices, Points, Skeleton, trace_skeleton

ELONGATED = 3.0
"""A component whose centre line is at least this many times its mean width long is a ribbon; else it is a spot."""
GAP_FRACTION = 0.25
"""Pieces closer than this fraction of the longer one's extent are one interrupted defect."""
SMALLEST_GAP_PX = 2.0
"""8-connected pieces are no closer than this."""


@dataclass(frozen=True, eq=False)
class Component:
    """One defect of a mask: `crop` bool [h, w] with an empty rim, whose pixel (0, 0) is at `corner` of the mask.

    `bridged` [h, w] is the same with the gaps of an interrupted defect crossed by thin lines: connected.
    """

    crop: Mask
    bridged: Mask
    corner: complex

    @cached_property
    def area_px(self) -> int:
        """Defect pixels."""
        return int(self.crop.sum())

    @cached_property
    def centre(self) -> complex:
        """Centroid in the mask, px."""
        return centroid(self.crop) + self.corner

    @cached_property
    def outlines(self) -> list[Points]:
        """Closed chains of border pixels in the mask, px: the longest outer one first, holes last."""
        found, tree = cv2.findContours(self.crop.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        order = sorted(range(len(found)), key=lambda i: (tree[0, i, 3] >= 0, -len(found[i])))
        return [found[i][:, 0, 0] + 1j * found[i][:, 0, 1] + self.corner for i in order]

    @cached_property
    def skeleton(self) -> Skeleton:
        """Centre lines in the mask, running on over gaps."""
        local = trace_skeleton(self.bridged)
        return Skeleton(local.points + self.corner, local.half_width, local.lengths, local.path)

    @cached_property
    def nearest(self) -> list[Indices]:
        """For each point of each outline, the nearest skeleton point."""
        tree = cKDTree(_plane(self.skeleton.points))
        return [tree.query(_plane(outline))[1] for outline in self.outlines]

    @cached_property
    def is_ribbon(self) -> bool:
        """Whether the defect is thin for its length, branched or not."""
        width = self.area_px / len(self.skeleton.points)
        return len(self.skeleton.path) >= ELONGATED * width


@dataclass(frozen=True, eq=False)
class RealMask:
    """A real mask, bool [H, W], not empty, with its components."""

    mask: Mask

    @cached_property
    def components(self) -> list[Component]:
        """Its 8-connected pieces, those of an interrupted defect taken together; the largest first."""
        x0, y0, width, height = cv2.boundingRect(self.mask.astype(np.uint8))
        mask = np.pad(self.mask[y0 : y0 + height, x0 : x0 + width], 1)
        bridged = _bridge_gaps(mask)
        count, labels, boxes, _ = cv2.connectedComponentsWithStats(bridged.astype(np.uint8), connectivity=8)
        components = []
        for label, (x, y, width, height, _) in zip(range(1, count), boxes[1:], strict=True):
            box = np.s_[y - 1 : y + height + 1, x - 1 : x + width + 1]
            line = labels[box] == label
            components.append(Component(mask[box] & line, line, complex(x0 + x - 2, y0 + y - 2)))
        return sorted(components, key=lambda c: c.area_px, reverse=True)

    @cached_property
    def centre(self) -> complex:
        """Its centroid in px."""
        return centroid(self.mask)


def centroid(mask: Mask) -> complex:
    """Return the mean of the pixels x + iy of `mask`, bool [H, W], not empty."""
    ys, xs = np.nonzero(mask)
    return complex(xs.mean(), ys.mean())


def _bridge_gaps(mask: Mask) -> Mask:
    """Draw the shortest lines that join pieces of `mask`, its rim empty, wherever the gap is small for their size."""
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count <= 2:
        return mask
    bridges = dict(_small_gaps(mask, np.asarray(labels, np.int32), np.asarray(boxes, np.int32)))
    pairs = np.array(list(bridges), np.intp).reshape(-1, 2)
    gaps = [abs(start - end) for start, end in bridges.values()]
    tree = minimum_spanning_tree(coo_matrix((gaps, pairs.T), shape=(count, count))).tocoo()
    canvas = mask.astype(np.uint8)
    for pair in zip(tree.row, tree.col, strict=True):
        start, end = bridges[pair]
        cv2.line(canvas, (int(start.real), int(start.imag)), (int(end.real), int(end.imag)), 1)
    return canvas.astype(bool)


def _small_gaps(mask: Mask, labels: Indices, boxes: Indices) -> Iterator[tuple[tuple[int, int], Points]]:
    """Yield (piece, other piece), [point of the one, point of the other] for each gap that is small for their size.

    labels [H, W]: each pixel's piece; boxes [N, 4 or more]: each piece's x, y, width, height. The longer piece of a
    pair comes first.
    """
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    borders = np.where(cv2.erode(mask.astype(np.uint8), cross), 0, labels)
    extents = boxes[:, 2:4].max(axis=1)
    for piece in np.argsort(-extents[1:], kind="stable") + 1:
        limit = GAP_FRACTION * extents[piece]
        if limit < SMALLEST_GAP_PX:
            return
        low, high = boxes[piece, :2] - int(limit), boxes[piece, :2] + boxes[piece, 2:4] + int(limit)
        around = borders[max(low[1], 0) : high[1], max(low[0], 0) : high[0]]
        ys, xs = np.nonzero(around)
        owners, points = around[ys, xs], xs + 1j * ys + complex(*np.maximum(low, 0))
        around[around == piece] = 0
        for other, ends in _shortest_gaps(points[owners == piece], points[owners != piece], owners[owners != piece]):
            if abs(ends[0] - ends[1]) <= limit:
                yield (int(piece), other), ends


def _shortest_gaps(piece: Points, points: Points, owners: Indices) -> Iterator[tuple[int, Points]]:
    """Yield owner, [point of `piece`, point of the owner] at the shortest gap to each owner of `points`."""
    gaps, nearest = cKDTree(_plane(piece)).query(_plane(points))
    order = np.lexsort((gaps, owners))
    others, first = np.unique(owners[order], return_index=True)
    for other, i in zip(others, order[first], strict=True):
        yield int(other), np.array([piece[nearest[i]], points[i]])


def _plane(points: Points) -> NDArray[np.float64]:
    return np.stack([points.real, points.imag], axis=1)
