"""Where a defect lies on a surface: its outline, filled, on the part, and distances from it."""

from typing import NamedTuple

import cv2
import numpy as np

from pipeline_tasks.drawing.defect_recipes import Blobs, DefectRecipe, Paths, Shape
from pipeline_tasks.drawing.fields import Field
from pipeline_tasks.drawing.grains import noise
from pipeline_tasks.drawing.outlines import Points, draw_blobs, draw_paths, draw_strokes
from pipeline_tasks.drawing.ranges import between, log_between
from pipeline_tasks.drawing.surface import Surface

SAMPLES_PER_PX = 4
FRACTION_BITS = 4
"""Outlines are filled on a finer raster, their vertices rounded to 1/16 of its cells."""
SPOTS_TRIED = 24
MARGIN_PX = 3.0
EDGE_PX = 1.0
"""Clearance that a defect's middle keeps on a part, and below which it lies on the part's edge."""


class Region(NamedTuple):
    """The pixels of a defect. Fields [H, W]."""

    cover: Field
    """0..1: how far a pixel belongs to the defect."""
    inside: Field
    """Distance to the nearest pixel that is not of the defect, px; 0 outside the mask."""
    outside: Field
    """Distance to the nearest pixel of the defect, px; 0 in the mask."""
    radius: float
    """Largest `inside`."""


def draw_region(rng: np.random.Generator, recipe: DefectRecipe, surface: Surface) -> Region:
    """Return the region of a defect; its mask, cover >= 0.5, may be empty where all of it misses the part."""
    side_px = surface.clearance.shape[0]
    cover = _filled(draw_outlines(rng, recipe.shape, _middle(rng, recipe, surface), side_px), side_px)
    if recipe.shape.mottled[1]:
        cover = _mottled(rng, recipe.shape, cover)
    return _region(_limited(cover, recipe.covers, surface.clearance))


def draw_outlines(rng: np.random.Generator, shape: Shape, centre: tuple[float, float], side_px: int) -> list[Points]:
    """Return the outlines of a shape around `centre`, px from the window's centre."""
    if isinstance(shape, Paths):
        return draw_paths(rng, shape, centre, side_px)
    return (
        draw_blobs(rng, shape, centre, side_px)
        if isinstance(shape, Blobs)
        else draw_strokes(rng, shape, centre, side_px)
    )


def _middle(rng: np.random.Generator, recipe: DefectRecipe, surface: Surface) -> tuple[float, float]:
    """Return a random place on the part or, where the window shows one, on its edge: x, y in px."""
    clearance, side_px = surface.clearance, surface.clearance.shape[0]
    edge = np.flatnonzero(np.abs(clearance) < EDGE_PX) if recipe.place == "edge" else ()
    if len(edge):
        row, column = divmod(int(rng.choice(edge)), side_px)
    else:
        spots = rng.integers(0, side_px, (SPOTS_TRIED, 2, 2)).sum(axis=2) // 2
        row, column = spots[int(np.argmax(np.minimum(clearance[spots[:, 0], spots[:, 1]], MARGIN_PX)))].tolist()
    return column + 0.5 - side_px / 2, row + 0.5 - side_px / 2


def _filled(outlines: list[Points], side_px: int) -> Field:
    """Return how far each pixel is covered, 0..1, by any of the outlines."""
    raster = np.zeros((side_px * SAMPLES_PER_PX,) * 2, np.uint8)
    scale = SAMPLES_PER_PX << FRACTION_BITS
    start = side_px / 2 * scale - (1 << FRACTION_BITS) / 2
    for outline in outlines:
        cv2.fillPoly(raster, [np.rint(outline * scale + start).astype(np.int32)], 255, cv2.LINE_8, FRACTION_BITS)
    small = cv2.resize(raster, (side_px, side_px), interpolation=cv2.INTER_AREA)
    return np.multiply(small, 1 / 255, dtype=np.float32)


def _mottled(rng: np.random.Generator, shape: Shape, cover: Field) -> Field:
    """Return `cover` with its outline moved by noise: bays, holes, and islands beside it."""
    region = _region(cover)
    moved = region.inside - region.outside
    moved += between(rng, shape.mottled) * noise(rng, cover.shape[0], log_between(rng, shape.mottles))
    return np.asarray(np.clip(moved + 0.5, 0, 1), np.float32)


def _limited(cover: Field, covers: str, clearance: Field) -> Field:
    if covers == "both" or clearance.min() > 1 or clearance.max() < -1:
        return cover
    return np.asarray(cover * np.clip((clearance if covers == "part" else -clearance) + 0.5, 0, 1), np.float32)


def _region(cover: Field) -> Region:
    mask = (cover >= 0.5).astype(np.uint8)
    inside = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_5)
    outside = cv2.distanceTransform(1 - mask, cv2.DIST_L2, cv2.DIST_MASK_5)
    return Region(cover, np.asarray(inside, np.float32), np.asarray(outside, np.float32), float(inside.max()))
