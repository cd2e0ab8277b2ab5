"""Outlines of the pieces of a mask as polygons along the edges of pixels: they enclose exactly the mask's pixels.

A corner (x, y) is the upper left corner of pixel [y, x], so that an image is [0, width] x [0, height]. An outline that
is filled by the even-odd rule at pixel centres, as COCO's tools do, gives the mask back.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.images.codec import Mask

Corners = NDArray[np.int64]
Edges = dict[tuple[int, int, int], tuple[int, int]]
"""The straight parts of borders, by the corner where they begin and their heading, to the corner where they end."""
RIGHT, DOWN, LEFT, UP = range(4)


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """One 8-connected piece of a mask. `crop` bool [h, w] is its bounding box; [0, 0] there is [y, x] in the mask."""

    crop: Mask
    x: int
    y: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """x, y, width and height, px."""
        height, width = self.crop.shape
        return self.x, self.y, width, height

    @property
    def area_px(self) -> int:
        """Pixels of the piece."""
        return int(self.crop.sum())

    def alone(self, shape: tuple[int, ...]) -> Mask:
        """Return the mask, bool of `shape`, that marks this piece only."""
        mask = np.zeros(shape, bool)
        height, width = self.crop.shape
        mask[self.y : self.y + height, self.x : self.x + width] = self.crop
        return mask

    def outline(self) -> Corners:
        """Return the corners [n, 2] of one closed polygon; the last one joins the first.

        A hole is reached by a cut of no width, straight up from it, that the polygon passes there and back.
        """
        ring, *holes = _borders(_edges(self.crop))
        for hole in sorted(holes, key=lambda hole: hole[:, 1].min()):
            ring = _joined(ring, hole, self.crop)
        return np.asarray(ring + np.array([self.x, self.y]))


def pieces(mask: Mask) -> list[Piece]:
    """Return the 8-connected pieces of a mask, bool [H, W], from top to bottom."""
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    found = []
    for label, (x, y, width, height, _) in enumerate(boxes.tolist()):
        if label:
            found.append(Piece(labels[y : y + height, x : x + width] == label, x, y))
    return sorted(found, key=lambda piece: (piece.y, piece.x))


def _edges(piece: Mask) -> Edges:
    """Return the straight parts of all borders of a piece, which is on their right-hand side."""
    height, width = piece.shape
    inside = np.zeros((height + 2, width + 2), np.int8)
    inside[1:-1, 1:-1] = piece
    across, along = inside[1:] - inside[:-1], (inside[:, 1:] - inside[:, :-1]).T
    edges: Edges = {}
    for line, start, end in _runs(across == 1):
        edges[start, line, RIGHT] = end, line
    for line, start, end in _runs(across == -1):
        edges[end, line, LEFT] = start, line
    for line, start, end in _runs(along == -1):
        edges[line, start, DOWN] = line, end
    for line, start, end in _runs(along == 1):
        edges[line, end, UP] = line, start
    return edges


def _runs(flags: NDArray[np.bool_]) -> Iterator[tuple[int, int, int]]:
    """Yield (line, start, end) of the runs of true values in each line, the end excluded.

    The first and the last value of each line are false; places are counted from the second on.
    """
    starts, ends = flags[:, 1:] & ~flags[:, :-1], flags[:, :-1] & ~flags[:, 1:]
    lines, firsts = starts.nonzero()
    return zip(lines.tolist(), firsts.tolist(), ends.nonzero()[1].tolist(), strict=True)


def _borders(edges: Edges) -> Iterator[Corners]:
    """Yield the corners of every closed border, the outer one first: its uppermost edge is the first of all.

    Where two pixels meet at a corner only, the border turns left there: they are one piece.
    """
    ahead = dict.fromkeys(edges)
    while ahead:
        corners, at = [], next(iter(ahead))
        while at in ahead:
            del ahead[at]
            corners.append(at[:2])
            x, y = edges[at]
            left, right = (at[2] + 3) % 4, (at[2] + 1) % 4
            at = (x, y, left if (x, y, left) in edges else right)
        yield np.array(corners)


def _joined(ring: Corners, hole: Corners, piece: Mask) -> Corners:
    """Return `ring` with a hole joined to the edge that lies straight above the left end of the hole's upper edge.

    That edge is part of the ring if all holes that begin further up are joined already.
    """
    top = int(hole[:, 1].min())
    x = int(hole[hole[:, 1] == top, 0].min())
    above = piece[:top, x][::-1]
    y = 0 if above.all() else top - int(above.argmin())
    following = np.roll(ring, -1, axis=0)
    passing = (ring[:, 1] == y) & (following[:, 1] == y) & (ring[:, 0] <= x) & (x < following[:, 0])
    place = int(np.flatnonzero(passing)[0]) + 1
    first = int(np.flatnonzero((hole == (x, top)).all(axis=1))[0])
    around, start, cut = np.roll(hole, -first, axis=0), hole[first : first + 1], np.array([(x, y)])
    there = cut[:0] if (ring[place - 1] == cut[0]).all() else cut
    return np.concatenate([ring[:place], there, around, start, cut, ring[place:]])
