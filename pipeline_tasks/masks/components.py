"""The pieces of a real mask, with what interpolating between two of them needs."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial import cKDTree

from pipeline_tasks.images.codec import Mask
from pipeline_tasks.masks.skeleton import Indices, Points, Skeleton, trace_skeleton

ELONGATED = 3.0
"""A component whose centre line is at least this many times its mean width long is a ribbon; else it is a spot."""
GAP_FRACTION = 0.25
"""Pieces closer than this fraction of the longer one's extent are one interrupted defect."""


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
        tree = cKDTree(np.stack([self.skeleton.points.real, self.skeleton.points.imag], axis=1))
        return [tree.query(np.stack([o.real, o.imag], axis=1))[1] for o in self.outlines]

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
        mask = np.pad(self.mask, 1)
        bridged = _bridge_gaps(mask)
        count, labels, boxes, _ = cv2.connectedComponentsWithStats(bridged.astype(np.uint8), connectivity=8)
        components = []
        for label, (x, y, width, height, _) in zip(range(1, count), boxes[1:], strict=True):
            box = np.s_[y - 1 : y + height + 1, x - 1 : x + width + 1]
            line = labels[box] == label
            components.append(Component(mask[box] & line, line, complex(x - 2, y - 2)))
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
    """Draw the shortest lines that join neighbouring pieces of `mask` wherever the gap is small for their size."""
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count <= 2:
        return mask
    extent = boxes[:, 2:4].max(axis=1)
    bridges = {
        (a, b): (start, end)
        for a, b, start, end in _shortest_gaps(mask, labels.astype(np.intp))
        if abs(start - end) <= GAP_FRACTION * max(extent[a], extent[b])
    }
    pairs = np.array(list(bridges), np.intp).reshape(-1, 2)
    gaps = [abs(start - end) for start, end in bridges.values()]
    tree = minimum_spanning_tree(coo_matrix((gaps, pairs.T), shape=(count, count))).tocoo()
    canvas = mask.astype(np.uint8)
    for pair in zip(tree.row, tree.col, strict=True):
        start, end = bridges[pair]
        cv2.line(canvas, (int(start.real), int(start.imag)), (int(end.real), int(end.imag)), 1)
    return canvas.astype(bool)


def _shortest_gaps(mask: Mask, labels: Indices) -> list[tuple[int, int, complex, complex]]:
    """Return (piece, other piece, point of the one, point of the other) at the shortest gap of each neighbouring pair.

    Neighbours are pieces whose nearest-piece regions adjoin.
    """
    ys, xs = distance_transform_edt(~mask, return_distances=False, return_indices=True)
    owner, nearest = labels[ys, xs], xs + 1j * ys
    sides = [(np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])]
    owners = np.concatenate([np.stack([owner[p].ravel(), owner[q].ravel()], axis=1) for p, q in sides])
    points = np.concatenate([np.stack([nearest[p].ravel(), nearest[q].ravel()], axis=1) for p, q in sides])
    swapped = owners[:, 0] > owners[:, 1]
    owners[swapped], points[swapped] = owners[swapped, ::-1], points[swapped, ::-1]
    order = np.argsort(np.abs(points[:, 0] - points[:, 1]), kind="stable")
    order = order[owners[order, 0] != owners[order, 1]]
    pairs, first = np.unique(owners[order], axis=0, return_index=True)
    return [(int(a), int(b), *points[order[i]]) for (a, b), i in zip(pairs, first, strict=True)]
