"""Textures of the inside of a defect: fields [H, W] of mean about 0 and standard deviation about 1."""

import math

import cv2
import numpy as np

from pipeline_tasks.drawing.defect_recipes import Grain
from pipeline_tasks.drawing.fields import Field
from pipeline_tasks.drawing.ranges import log_between

FINEST_PX = 1.2
"""Grains smaller than this are drawn pixel by pixel."""
ROUGHNESS = 0.45
"""Size and height of bumps on bumps, against those that they lie on."""


def noise(rng: np.random.Generator, side_px: int, cell_px: float, stretch: float = 1.0, angle: float = 0.0) -> Field:
    """Return noise whose bumps are `cell_px` across, `stretch` times as long along `angle`, radians."""
    if cell_px < FINEST_PX and stretch < FINEST_PX:
        return rng.standard_normal((side_px, side_px), np.float32)
    reach = 1.5 * side_px
    rows, columns = int(reach / cell_px) + 6, int(reach / (cell_px * stretch)) + 6
    lattice = rng.standard_normal((rows, columns), np.float32)
    cos, sin = math.cos(angle), math.sin(angle)
    turn = np.array([[cos / (cell_px * stretch), sin / (cell_px * stretch)], [-sin / cell_px, cos / cell_px]])
    shift = np.array([columns / 2, rows / 2]) + rng.uniform(-0.5, 0.5, 2) - turn @ np.full(2, side_px / 2)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    view = np.column_stack([turn, shift])
    return np.asarray(cv2.warpAffine(lattice, view, (side_px, side_px), flags=flags, borderMode=cv2.BORDER_REFLECT))


def rough(rng: np.random.Generator, side_px: int, cell_px: float, stretch: float = 1.0, angle: float = 0.0) -> Field:
    """Return noise whose bumps of `cell_px` have smaller ones on them."""
    field = noise(rng, side_px, cell_px, stretch, angle)
    for octave in (1, 2):
        if cell_px * ROUGHNESS**octave > FINEST_PX / 2:
            field += ROUGHNESS**octave * noise(rng, side_px, cell_px * ROUGHNESS**octave, stretch, angle)
    return field


def facets(rng: np.random.Generator, side_px: int, cell_px: float) -> Field:
    """Return the facets of a brittle fracture: one shade for all that is nearest to one of some random points."""
    count = max(int((side_px / cell_px) ** 2), 3)
    seeds = np.ones((side_px, side_px), np.uint8)
    rows, columns = rng.integers(0, side_px, (2, count))
    seeds[rows, columns] = 0
    _, nearest = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    return np.asarray(rng.standard_normal(count + 1, np.float32)[nearest])


def draw_grain(rng: np.random.Generator, grain: Grain, side_px: int) -> Field:
    """Return the texture that `grain` describes, in a random direction."""
    cell = log_between(rng, grain.cell)
    if grain.kind == "facets":
        return facets(rng, side_px, cell)
    field = rough(rng, side_px, cell, log_between(rng, grain.stretch), rng.uniform(0, math.pi))
    return field if grain.kind == "noise" else np.asarray(1.2 - 2 * np.abs(field), np.float32)
