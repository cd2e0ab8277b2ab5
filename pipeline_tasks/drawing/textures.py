"""Finishes: how the marks of a tool modulate the reflected light. A new finish is a function and a line in TEXTURES."""

import math
from collections.abc import Callable

import numpy as np

from pipeline_tasks.drawing.fields import Field, Grid, streak_noise

Texture = Callable[[np.random.Generator, Grid], Field]
"""Draws a finish at coordinates in the part's frame: [H, W], mean about 0, standard deviation about 1."""


def brushed(rng: np.random.Generator, grid: Grid) -> Field:
    """Draw a face brushed along x: fine short streaks over broad long ones."""
    layers = ((0.6, 25, 0.6), (0.65, 60, 1.0), (0.4, 130, 2.4), (0.25, 260, 8))
    return np.asarray(sum(weight * streak_noise(rng, grid, *shape) for weight, *shape in layers), np.float32)


def turned(rng: np.random.Generator, grid: Grid) -> Field:
    """Draw a face turned around (0, 0): concentric feed marks of slightly uneven depth."""
    radius, feed_px = np.hypot(grid.x, grid.y), rng.uniform(2.6, 3.2)
    rings = np.arange(int(radius.max()) + 3)
    depth = np.interp(radius, rings, rng.normal(1, 0.3, len(rings))).astype(np.float32)
    return np.asarray(1.3 * depth * np.sin(2 * math.pi * radius / feed_px), np.float32)


TEXTURES: dict[str, Texture] = {"brushed": brushed, "turned": turned}
