"""The centre lines of a connected shape: its longest one, and how a change along that one carries the branches along.

Points are complex numbers x + iy in px, so that a rotation by t is a product with exp(it).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, uniform_filter1d
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra, laplacian
from scipy.sparse.linalg import splu
from skimage.morphology import skeletonize

from pipeline_tasks.images.codec import Mask

Points = NDArray[np.complex128]
Reals = NDArray[np.float64]
Indices = NDArray[np.intp]
_LATER_NEIGHBOURS = ((0, 1), (1, -1), (1, 0), (1, 1))


@dataclass(frozen=True)
class Skeleton:
    """`points` [N] and `half_width` [N] in px; `lengths` [N, N], sparse, px between neighbours; `path` [M], indices."""

    points: Points
    half_width: Reals
    lengths: Any
    path: Indices

    @cached_property
    def line(self) -> Points:
        """The path without its pixel steps, [M]."""
        return np.asarray(gaussian_filter1d(self.points[self.path], 2.0, mode="nearest"))

    @cached_property
    def position(self) -> Reals:
        """How far along the line each of its points is, 0..1, [M]."""
        walked = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(self.line)))])
        return np.asarray(walked / max(walked[-1], 1e-9))

    @cached_property
    def line_half_width(self) -> Reals:
        """The half-width along the path in px, averaged over a tenth of it, [M]."""
        return np.asarray(uniform_filter1d(self.half_width[self.path], max(3, len(self.path) // 10), mode="nearest"))

    def carry(self, values: Reals) -> Reals:
        """Extend `values` [M, K] on the path to all points [N, K]: harmonic along branches, which stay attached."""
        whole = np.empty((len(self.points), values.shape[1]))
        whole[self.path] = values
        branches, solver, coupling = self._branches
        if len(branches):
            whole[branches] = solver.solve(-(coupling @ values))
        return whole

    @cached_property
    def _branches(self) -> tuple[Indices, Any, Any]:
        branches = np.setdiff1d(np.arange(len(self.points)), self.path)
        rows = laplacian(self.lengths.power(-1)).tocsr()[branches]
        return branches, splu(rows[:, branches].tocsc()) if len(branches) else None, rows[:, self.path]


def trace_skeleton(mask: Mask) -> Skeleton:
    """Return the skeleton of `mask`, bool [H, W], which holds one 8-connected shape and does not touch the border."""
    half_width = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    ys, xs = np.nonzero(skeletonize(mask))
    lengths = _neighbour_lengths(ys, xs, mask.shape)
    return Skeleton(xs + 1j * ys, half_width[ys, xs].astype(np.float64), lengths, _longest_path(lengths))


def _neighbour_lengths(ys: Indices, xs: Indices, shape: tuple[int, ...]) -> Any:
    index = np.full(shape, -1)
    index[ys, xs] = np.arange(len(ys))
    pairs, lengths = [], []
    for dy, dx in _LATER_NEIGHBOURS:
        other = index[ys + dy, xs + dx]
        here = np.flatnonzero(other >= 0)
        pairs.append(np.stack([here, other[here]]))
        lengths.append(np.full(len(here), np.hypot(dy, dx)))
    (rows, columns), weights = np.concatenate(pairs, axis=1), np.concatenate(lengths)
    half = coo_matrix((weights, (rows, columns)), shape=(len(ys), len(ys)))
    return (half + half.T).tocsr()


def _longest_path(lengths: Any) -> Indices:
    """Return the indices from one end of the longest shortest path to the other (exact on trees)."""
    start = int(np.argmax(dijkstra(lengths, indices=0)))
    distance, previous = dijkstra(lengths, indices=start, return_predecessors=True)
    path = [int(np.argmax(distance))]
    while path[-1] != start:
        path.append(int(previous[path[-1]]))
    return np.array(path)
