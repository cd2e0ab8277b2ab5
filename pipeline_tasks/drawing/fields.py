"""Scalar fields over the image plane: coordinates, noise, soft steps. Lengths are image px, whatever the sampling."""

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
"""A quantity per sample, float32 [H, W]; light and its changes have a third axis R, G, B."""


class Grid(NamedTuple):
    """Coordinates of samples in px: x to the right, y down."""

    x: Field
    y: Field

    def posed(self, centre: tuple[float, float], angle: float) -> "Grid":
        """Return the coordinates in a frame at `centre`, turned by `angle` (radians, clockwise on screen)."""
        x, y, cos, sin = self.x - centre[0], self.y - centre[1], math.cos(angle), math.sin(angle)
        return Grid(cos * x + sin * y, cos * y - sin * x)


def pixel_grid(side_px: int, samples_per_px: int) -> Grid:
    """Return the sample coordinates of a square image of `side_px`, with (0, 0) at its centre."""
    steps = (np.arange(side_px * samples_per_px) + 0.5) / samples_per_px
    x, y = np.meshgrid(steps - side_px / 2, steps - side_px / 2)
    return Grid(x.astype(np.float32), y.astype(np.float32))


def ramp(values: Field, start: float, end: float) -> Field:
    """Return a smooth step: 0 at `start`, 1 at `end`, flat at both."""
    t = np.clip((values - start) / (end - start), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def ridge(values: Field, at: float | Field, width: float) -> Field:
    """Return a Gaussian bump of height 1 and standard deviation `width` around `at`."""
    return np.asarray(np.exp(-0.5 * ((values - at) / width) ** 2), np.float32)


def mix(low: Field, high: Field | float, weight: Field) -> Field:
    """Return `low` where `weight` is 0, `high` where it is 1, and in between what lies between."""
    return np.asarray(low + weight * (high - low), np.float32)


def smooth_noise(rng: np.random.Generator, grid: Grid, cell_px: float) -> Field:
    """Return isotropic noise in about -1..1 whose bumps are `cell_px` across."""
    reach = max(_reach(grid.x), _reach(grid.y))
    nodes = 2 * int(np.ceil(reach / cell_px)) + 5
    lattice = rng.uniform(-1, 1, (nodes, nodes)).astype(np.float32)
    return _sampled(lattice, grid, cell_px, cell_px)


def streak_noise(rng: np.random.Generator, grid: Grid, length_px: float, width_px: float) -> Field:
    """Return noise of unit variance in streaks along x, about `length_px` long and `width_px` wide."""
    half = max(round(length_px / 2), 1)
    rows, columns = int(2 * _reach(grid.y) / width_px) + 4, int(2 * _reach(grid.x)) + 4 + 2 * half
    dots = rng.standard_normal((rows, columns), np.float32)
    streaks = np.asarray(cv2.blur(cv2.blur(dots, (half, 1)), (half, 1)), np.float32)
    return _sampled(streaks / streaks.std(), grid, 1, width_px)


def _reach(values: Field) -> float:
    return float(np.abs(values).max())


def _sampled(lattice: Field, grid: Grid, cell_x_px: float, cell_y_px: float) -> Field:
    rows, columns = lattice.shape
    x, y = grid.x / cell_x_px + (columns - 1) / 2, grid.y / cell_y_px + (rows - 1) / 2
    return np.asarray(cv2.remap(lattice, x, y, cv2.INTER_CUBIC), np.float32)


def rounded_box(grid: Grid, half_width: float, half_height: float, radius: float) -> Field:
    """Return the signed distance to a rounded rectangle around (0, 0): negative inside."""
    dx, dy = np.abs(grid.x) - (half_width - radius), np.abs(grid.y) - (half_height - radius)
    outside = np.hypot(np.maximum(dx, 0), np.maximum(dy, 0))
    return np.asarray(outside + np.minimum(np.maximum(dx, dy), 0) - radius, np.float32)
