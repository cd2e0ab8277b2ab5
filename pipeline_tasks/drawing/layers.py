"""Primitive layers of textures, by kind. A new one is a function, a line in LAYERS and its recipe.

A layer is a field [H, W] of mean about 0 and standard deviation about 1, drawn at coordinates in the pattern's frame,
its grain along x. Lengths of recipes are multiplied by `zoom`.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.drawing.fields import Field, Grid
from pipeline_tasks.drawing.ranges import between, log_between
from pipeline_tasks.drawing.texture_recipes import (
    Bands,
    Cells,
    Dots,
    Fibres,
    Grating,
    Layer,
    Noise,
    Rings,
    Specks,
    Streaks,
    Weave,
)
from pipeline_tasks.drawing.white_noise import white_noise

MOST_NODES = 220
"""Nodes a side that a lattice of noise has at most; it repeats beyond."""

MOST_SPECKS, MOST_FIBRES = 400, 150
SHIFT = 4
SUBPIXELS = 1 << SHIFT
"""OpenCV's coordinates of marks are in fractions of a px."""
STEPS = 8
"""Sizes of bumps are rounded to so many steps an octave, so that their splines are reckoned once."""

Labels = NDArray[np.int32]
Draw = Callable[[np.random.Generator, Grid, Any, float], Field]


def draw_layer(rng: np.random.Generator, grid: Grid, layer: Layer, zoom: float) -> Field:
    """Return one layer [H, W] at `grid`, coordinates in px in the pattern's frame."""
    return LAYERS[layer.kind](rng, grid, layer, zoom)


def bumps(rng: np.random.Generator, side_px: int, cell_px: float) -> Field:
    """Return isotropic noise [side, side] of unit variance whose bumps are about `cell_px` across."""
    if cell_px < 2:
        dots = white_noise(rng, (side_px, side_px))
        kernel = np.asarray(cv2.getGaussianKernel(5, 0.35 * cell_px, cv2.CV_32F), np.float32)
        kernel = kernel / np.sqrt((kernel**2).sum())
        return np.asarray(cv2.sepFilter2D(dots, -1, kernel, kernel), np.float32)
    octaves, shifts = round(STEPS * math.log2(cell_px)), rng.integers(STEPS, size=2).tolist()
    down, right = _spline(side_px, octaves, shifts[0]), _spline(side_px, octaves, shifts[1])
    lattice = white_noise(rng, (down.shape[1], right.shape[1]))
    return np.asarray(down @ lattice @ right.T, np.float32)


@lru_cache(maxsize=1024)
def _spline(side_px: int, octaves: int, shift: int) -> Field:
    """Return weights [side, nodes] of cubic B-splines, such that their sum over random nodes has unit variance.

    Nodes are 2 ** (octaves / STEPS) px apart, the first one shifted by `shift` / STEPS of that.
    """
    at = (np.arange(side_px) / 2 ** (octaves / STEPS))[:, None] + (1 + shift / STEPS)
    far = np.abs(at - np.arange(int(at[-1, 0]) + 3))
    weights = (np.maximum(2 - far, 0) ** 3 - 4 * np.maximum(1 - far, 0) ** 3) / 6
    return np.asarray(weights / np.sqrt((weights**2).sum(axis=1, keepdims=True)), np.float32)


def _noise(rng: np.random.Generator, grid: Grid, layer: Noise, zoom: float) -> Field:
    side, cell = grid.x.shape[0], zoom * log_between(rng, layer.cell)
    total, weight, variance = np.zeros_like(grid.x), 1.0, 0.0
    for _ in range(layer.octaves):
        total += weight * bumps(rng, side, cell)
        variance += weight**2
        weight, cell = 0.6 * weight, 0.5 * cell
        if cell < 0.7:
            break
    return np.asarray(total / math.sqrt(variance), np.float32)


def _streaks(rng: np.random.Generator, grid: Grid, layer: Streaks, zoom: float) -> Field:
    length, width = zoom * log_between(rng, layer.length), max(zoom * log_between(rng, layer.width), 0.5)
    return _sampled(rng, Grid(grid.x / length, grid.y / width))


def _sampled(rng: np.random.Generator, at: Grid) -> Field:
    """Return noise of about unit variance with a node at every whole coordinate of `at`."""
    left, top = float(at.x.min()), float(at.y.min())
    columns, rows = (min(int(values.max() - low) + 5, MOST_NODES) for values, low in ((at.x, left), (at.y, top)))
    lattice = white_noise(rng, (rows, columns))
    x, y = at.x - (left - 1.5), at.y - (top - 1.5)
    return np.asarray(1.25 * cv2.remap(lattice, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP), np.float32)


def _profile(rng: np.random.Generator, at: Field, regular: float) -> Field:
    """Return tones along one coordinate, a period each 1: random, or a sine of uneven strength as far as `regular`."""
    low = float(at.min())
    nodes = min(2 * int(at.max() - low) + 6, 4000)
    tones = white_noise(rng, (1, nodes))
    x = 2 * (at - low) + 1.5
    drawn = cv2.remap(tones, x, np.zeros_like(x), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    if regular <= 0:
        return np.asarray(drawn, np.float32)
    wave = np.sin(2 * math.pi * at)
    return np.asarray((1 - regular) * drawn + regular * (1.3 + 0.3 * drawn) * wave, np.float32)


def _bands(rng: np.random.Generator, grid: Grid, layer: Bands, zoom: float) -> Field:
    width, warp = zoom * log_between(rng, layer.width), zoom * between(rng, layer.warp)
    across = grid.y
    if warp > 0:
        across = across + warp * _sampled(rng, Grid(grid.x / (60 * zoom), grid.y / (25 * zoom)))
    return _profile(rng, across / max(width, 0.8), between(rng, layer.regular))


def _rings(rng: np.random.Generator, grid: Grid, layer: Rings, zoom: float) -> Field:
    reach, turn = log_between(rng, layer.reach) * grid.x.shape[0], rng.uniform(0, 2 * math.pi)
    x, y = (axis - axis.mean() for axis in grid)
    x, y = x - reach * math.cos(turn), y - reach * math.sin(turn)
    radius = np.sqrt(x * x + y * y)
    return _profile(rng, radius / max(zoom * log_between(rng, layer.feed), 1.5), between(rng, layer.regular))


def _cells(rng: np.random.Generator, grid: Grid, layer: Cells, zoom: float) -> Field:
    size = max(zoom * log_between(rng, layer.size), 2.5)
    near, labels = _nearest(_seeds(rng, grid, size, between(rng, layer.jitter)))
    if layer.look == "tone":
        tones = rng.standard_normal(int(labels.max()) + 1).astype(np.float32)
        return np.asarray(cv2.GaussianBlur(tones[labels], (0, 0), 0.6), np.float32)
    if layer.look == "dome":
        return np.asarray(0.9 - 2.6 * near / size, np.float32)
    line = min(zoom * log_between(rng, layer.line), 0.3 * size)
    depth = np.clip((_to_border(labels) - 0.5 * line) / (0.5 * line + 0.7), 0, 1)
    return np.asarray(2.5 * (depth - depth.mean()), np.float32)


def _seeds(rng: np.random.Generator, grid: Grid, size: float, jitter: float) -> NDArray[np.uint8]:
    """Return an image, 0 at the cells' points and 1 elsewhere: a lattice in the pattern's frame, jittered."""
    side = grid.x.shape[0]
    count = int(side * 1.5 / size) + 3
    at = (np.arange(count) - (count - 1) / 2) * size
    x, y = (axis.ravel() + jitter * size * (rng.random(count * count) - 0.5) for axis in np.meshgrid(at, at))
    cos, sin = float(grid.x[0, 1] - grid.x[0, 0]), float(grid.y[0, 1] - grid.y[0, 0])
    norm = math.hypot(cos, sin)
    shift = rng.random(2) * size
    columns = np.rint((cos * x - sin * y) / norm + side / 2 + shift[0]).astype(int)
    rows = np.rint((sin * x + cos * y) / norm + side / 2 + shift[1]).astype(int)
    inside = (columns >= 0) & (columns < side) & (rows >= 0) & (rows < side)
    points = np.ones((side, side), np.uint8)
    points[rows[inside], columns[inside]] = 0
    if not inside.any():
        points[side // 2, side // 2] = 0
    return points


def _nearest(points: NDArray[np.uint8]) -> tuple[Field, Labels]:
    """Return each pixel's distance to the nearest point, where `points` is 0, and that point's number."""
    near, labels = cv2.distanceTransformWithLabels(points, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    return np.asarray(near, np.float32), np.asarray(labels, np.int32)


def _to_border(labels: Labels) -> Field:
    """Return each pixel's distance to the nearest border between cells, px."""
    inside = np.ones(labels.shape, np.uint8)
    inside[:, 1:] = labels[:, 1:] == labels[:, :-1]
    inside[1:] &= labels[1:] == labels[:-1]
    return np.asarray(cv2.distanceTransform(inside, cv2.DIST_L2, 3), np.float32)


def _weave(rng: np.random.Generator, grid: Grid, layer: Weave, zoom: float) -> Field:
    thread, repeat = max(zoom * log_between(rng, layer.thread), 2.2), layer.repeat[rng.integers(len(layer.repeat))]
    u, v = grid.x / thread, grid.y / thread
    i, j = np.floor(u), np.floor(v)
    over = (i - j) % repeat < 0.5
    u, v = 2 * (u - i) - 1, 2 * (v - j) - 1
    across, along = np.where(over, u, v), np.where(over, v, u)
    height = (1 - across * across) * (1 - 0.5 * along * along)
    uneven = between(rng, layer.uneven)
    tones = rng.normal(0, uneven, 512)
    thread_tone = np.where(over, tones[i.astype(int) % 256], tones[256 + j.astype(int) % 256])
    side = rng.uniform(-0.5, 0.5) * over
    return np.asarray(3 * (height - 0.55) + thread_tone + 2 * side, np.float32)


def _grating(rng: np.random.Generator, grid: Grid, layer: Grating, zoom: float) -> Field:
    pace = 2 * math.pi / max(zoom * log_between(rng, layer.period), 2.5)
    wave = np.sin(pace * grid.y)
    if rng.random() < layer.crossed:
        wave = 0.7 * (wave + np.sin(pace * rng.uniform(0.6, 1.3) * grid.x))
    sharpness = log_between(rng, layer.sharpness)
    if sharpness > 1.2:
        wave = np.tanh(sharpness * wave)
    return np.asarray(1.2 * wave, np.float32)


def _dots(rng: np.random.Generator, grid: Grid, layer: Dots, zoom: float) -> Field:
    spacing = max(zoom * log_between(rng, layer.spacing), 4.0)
    radius = between(rng, layer.radius) * spacing
    u, v = grid.x / spacing, grid.y / spacing
    if rng.random() < layer.staggered:
        u = u + 0.5 * (np.floor(v) % 2)
    u, v = u - np.floor(u) - 0.5, v - np.floor(v) - 0.5
    inside = np.clip(radius - spacing * np.sqrt(u * u + v * v) + 0.5, 0, 1)
    sign = 1 if rng.random() < 0.5 else -1
    return np.asarray(2 * sign * (inside - inside.mean()), np.float32)


def _specks(rng: np.random.Generator, grid: Grid, layer: Specks, zoom: float) -> Field:
    side, (small, large) = grid.x.shape[0], layer.radius
    count = _count(rng, layer.density, side / zoom, MOST_SPECKS)
    marks = np.zeros((side, side), np.float32)
    centres = (rng.random((count, 2)) * (side * SUBPIXELS)).astype(int).tolist()
    radii = np.maximum(zoom * SUBPIXELS * small * (large / small) ** rng.random(count), SUBPIXELS / 2)
    axes = (radii[:, None] * np.stack([np.ones(count), rng.uniform(0.6, 1, count)], 1)).astype(int).tolist()
    turns, tones = rng.uniform(0, 180, count).tolist(), _tones(rng, count, layer.bright)
    for centre, (radius, other), turn, tone in zip(centres, axes, turns, tones, strict=True):
        if radius < 1.3 * SUBPIXELS:
            cv2.circle(marks, centre, radius, tone, cv2.FILLED, cv2.LINE_8, SHIFT)
        else:
            cv2.ellipse(marks, centre, (radius, other), turn, 0, 360, tone, cv2.FILLED, cv2.LINE_8, SHIFT)
    return np.asarray(cv2.GaussianBlur(marks, (0, 0), 0.6), np.float32)


def _fibres(rng: np.random.Generator, grid: Grid, layer: Fibres, zoom: float) -> Field:
    side, (short, long) = grid.x.shape[0], layer.length
    count = _count(rng, layer.density, side / zoom, MOST_FIBRES)
    marks = np.zeros((side, side), np.float32)
    step = zoom * short * (long / short) ** rng.random((count, 1, 1)) / 4
    turns = rng.uniform(0, math.pi, (count, 1)) + rng.normal(0, 0.5, (count, 1)) * np.linspace(-1, 1, 4)
    lines = rng.uniform(0, side, (count, 1, 2)) + step * np.cumsum(np.stack([np.cos(turns), np.sin(turns)], 2), 1)
    for line, tone in zip((lines * SUBPIXELS).astype(np.int32), _tones(rng, count, layer.bright), strict=True):
        cv2.polylines(marks, [line], isClosed=False, color=tone, thickness=1, lineType=cv2.LINE_8, shift=SHIFT)
    return np.asarray(1.5 * cv2.GaussianBlur(marks, (0, 0), 0.5 + 0.25 * min(zoom, 2)), np.float32)


def _count(rng: np.random.Generator, density: tuple[float, float], side: float, most: int) -> int:
    """Return how many marks of a `density` per 1000 px lie in a window of `side`, at least one."""
    return 1 + int(rng.poisson(min(log_between(rng, density) * side**2 / 1000, most)))


def _tones(rng: np.random.Generator, count: int, bright: float) -> list[float]:
    """Return tones of marks: a share `bright` is above 0, the others below."""
    strengths, signs = rng.uniform(0.6, 2.2, count), np.where(rng.random(count) < bright, 1, -1)
    return [float(tone) for tone in strengths * signs]


LAYERS: dict[str, Draw] = {
    "noise": _noise,
    "streaks": _streaks,
    "bands": _bands,
    "rings": _rings,
    "cells": _cells,
    "weave": _weave,
    "grating": _grating,
    "dots": _dots,
    "specks": _specks,
    "fibres": _fibres,
}
