"""Outlines of defects as polygons: vertices [N, 2] in px, x right and y down, from the window's centre."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.drawing.defect_recipes import Blobs, Paths, Strokes, count_in
from pipeline_tasks.drawing.fields import Field
from pipeline_tasks.drawing.ranges import between, log_between

Points = NDArray[np.float32]
"""Vertices [..., 2]: x, y."""

STEPS = 41
PIECE = 8
HARMONICS = 16
CORNERS = 48
"""Vertices along a path, segments of it outlined as one, terms of the series that bend it, vertices around a blob."""
THINNEST_PX = 1.2
"""Width of the thinnest fork: a thinner one would cover no pixel by half."""
FEWEST_CORNERS = 4
"""Outlines of fewer are rounded."""

_ALONG = np.linspace(0, 1, STEPS, dtype=np.float32)
_ORDER = np.arange(1, HARMONICS + 1, dtype=np.float32)
_PIECES = [
    np.r_[start : start + PIECE + 1, 2 * STEPS - 1 - start - PIECE : 2 * STEPS - start]
    for start in range(0, STEPS - 1, PIECE)
]
"""Vertices of a ribbon's pieces: a piece seldom crosses itself; where all of the ribbon does, filling leaves holes."""
_SINES = np.sin(math.pi * np.outer(_ORDER, _ALONG)).astype(np.float32)
_TURN = np.linspace(0, 2 * math.pi, CORNERS, endpoint=False, dtype=np.float32)
_WAVES = np.concatenate([np.cos(np.outer(_ORDER, _TURN)), np.sin(np.outer(_ORDER, _TURN))]).astype(np.float32)


def draw_paths(rng: np.random.Generator, shape: Paths, centre: tuple[float, float], side_px: int) -> list[Points]:
    """Return the outlines of a crack through `centre` and of its forks, which are shorter and thinner."""
    unit, forks = side_px if shape.unit == "side" else 1, count_in(rng, shape.forks)
    strays = log_between(rng, shape.wander) * _walks(rng, 1 + forks, between(rng, shape.smoothness))
    trunk = _Path(log_between(rng, shape.length) * side_px, rng.uniform(0, 2 * math.pi), log_between(rng, shape.width))
    paths, lines = [trunk._replace(width=trunk.width * unit)], [_line(strays[0], trunk.length, trunk.angle)]
    lines[0] += np.subtract(centre, lines[0][STEPS // 2 + rng.integers(-9, 10)], dtype=np.float32)
    for stray in strays[1:]:
        parent, at = int(rng.integers(len(lines))), int(rng.integers(4, STEPS - 6))
        paths.append(_fork(rng, paths[parent], at / STEPS))
        lines.append(lines[parent][at] + _line(stray, paths[-1].length, paths[-1].angle))
    taper = between(rng, shape.taper)
    profile = np.repeat(1 - taper * _ALONG[None] ** 2, len(lines), axis=0)
    profile[0] = 1 - taper * (2 * _ALONG - 1) ** 2
    widths = profile * np.array([[path.width] for path in paths], np.float32)
    return _ribbons(rng, np.stack(lines), widths, between(rng, shape.ragged))


class _Path(NamedTuple):
    """A crack or a fork of it: length and width in px, angle in radians."""

    length: float
    angle: float
    width: float


def _fork(rng: np.random.Generator, parent: _Path, at: float) -> _Path:
    """Return a fork that leaves its parent after a share `at` of its length."""
    length = parent.length * (1 - at) * rng.uniform(0.5, 1.1)
    turn = rng.choice((-1, 1)) * rng.uniform(0.35, 1.2)
    return _Path(length, parent.angle + turn, max(parent.width * rng.uniform(0.45, 0.85), THINNEST_PX))


def draw_strokes(rng: np.random.Generator, shape: Strokes, centre: tuple[float, float], side_px: int) -> list[Points]:
    """Return the outlines of a bundle of strokes, the first through `centre`."""
    unit, count = side_px if shape.unit == "side" else 1, count_in(rng, shape.count)
    strays = between(rng, shape.bend) * _walks(rng, count, 2.2) * 1.6
    angle, fan, length = rng.uniform(0, 2 * math.pi), between(rng, shape.fan), log_between(rng, shape.length) * side_px
    spread, breaks = between(rng, shape.spread) * side_px, between(rng, shape.breaks)
    lines = []
    for place, stray in enumerate(strays):
        line = _line(stray, length * rng.uniform(0.6, 1), angle + fan * rng.uniform(-0.5, 0.5))
        offset = spread * rng.uniform(-0.5, 0.5, 2) if place else (0.0, 0.0)
        lines.append(line + np.add(centre, offset, dtype=np.float32) - line[STEPS // 2])
    taper = 1 - between(rng, shape.taper) * np.abs(2 * _ALONG - 1) ** 3
    widths = log_between(rng, shape.width) * unit * rng.uniform(0.7, 1, (count, 1)) * taper
    if breaks:
        widths = widths * np.clip(1.3 - 2 * breaks + 1.2 * _walks(rng, count, 0.9), 0, 1)
    return _ribbons(rng, np.stack(lines), np.asarray(widths, np.float32), between(rng, shape.ragged))


def draw_blobs(rng: np.random.Generator, shape: Blobs, centre: tuple[float, float], side_px: int) -> list[Points]:
    """Return the outlines of a blob around `centre` and of the others of its cluster, which are smaller."""
    unit, count = side_px if shape.unit == "side" else 1, count_in(rng, shape.count)
    radii = np.full(count, log_between(rng, shape.radius) * unit)
    radii[1:] *= 1 - between(rng, shape.smaller) * rng.random(count - 1)
    outlines = _outline(rng, shape, count) * radii[:, None, None]
    stretch = math.sqrt(log_between(rng, shape.elongation))
    angle = rng.uniform(0, math.pi)
    cos, sin = math.cos(angle), math.sin(angle)
    places = between(rng, shape.spread) * radii[0] * rng.normal(0, 0.5, (count, 1, 2))
    places[0] = 0
    pose = np.array([[cos * stretch, sin * stretch], [-sin / stretch, cos / stretch]])
    turned = (outlines + places) @ pose + np.array(centre)
    return list(np.asarray(turned, np.float32))


def _outline(rng: np.random.Generator, shape: Blobs, count: int) -> Points:
    """Return `count` outlines of radius about 1 [count, N, 2]."""
    turn, corners = _TURN, count_in(rng, shape.corners)
    strays = _series(rng, count, 2 * HARMONICS, np.tile(_ORDER, 2), between(rng, shape.smoothness)) @ _WAVES
    radius = np.exp(between(rng, shape.rough) * strays)
    if corners >= FEWEST_CORNERS:
        picked = ((np.arange(corners) + rng.uniform(0, 0.8, corners)) * CORNERS / corners).astype(int)
        turn, radius = turn[picked], radius[:, picked]
    boxy = log_between(rng, shape.boxy)
    if boxy > 2:
        radius = radius * (np.abs(np.cos(turn)) ** boxy + np.abs(np.sin(turn)) ** boxy) ** (-1 / boxy)
    return np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=-1)


def _walks(rng: np.random.Generator, count: int, smoothness: float) -> Points:
    """Return random walks that start and end at 0 [count, STEPS]: Karhunen and Loeve's series of a bridge."""
    return np.asarray(_series(rng, count, HARMONICS, _ORDER, smoothness) @ _SINES, np.float32)


def _series(rng: np.random.Generator, count: int, terms: int, order: Points, smoothness: float) -> Points:
    return np.asarray(rng.standard_normal((count, terms), np.float32) * order**-smoothness, np.float32)


def _line(stray: Points, length: float, angle: float) -> Points:
    """Return points [STEPS, 2] from (0, 0) along `angle`, strayed sideways by shares of the length."""
    cos, sin = length * math.cos(angle), length * math.sin(angle)
    return np.asarray(np.stack([_ALONG * cos - stray * sin, _ALONG * sin + stray * cos], axis=1), np.float32)


def _ribbons(rng: np.random.Generator, lines: Points, widths: Field, ragged: float) -> list[Points]:
    """Return the outlines of `lines` [B, N, 2] that are `widths` [B, N] px wide, whose sides stray by `ragged`."""
    along = np.diff(lines, axis=1, append=2 * lines[:, -1:] - lines[:, -2:-1])
    along[:, 1:] += along[:, :-1].copy()
    along /= np.sqrt((along**2).sum(axis=2, keepdims=True)) + 1e-6
    normal = along[..., ::-1] * np.array([-0.5, 0.5], np.float32)
    strays = _walks(rng, 2 * len(lines), 0.6).reshape(len(lines), 2, STEPS)
    sides = widths[:, None] * np.maximum(1 + ragged * strays, 0.2)
    left, right = lines + normal * sides[:, 0, :, None], lines - normal * sides[:, 1, :, None]
    around = np.concatenate([left, right[:, ::-1]], axis=1)
    return [line[piece] for line in around for piece in _PIECES]
