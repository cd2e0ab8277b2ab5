"""A clean surface under its lamps, drawn from a texture's recipe: what the camera is going to see without a defect."""

import colorsys
import math
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from pipeline_tasks.drawing.fields import Field, Grid, pixel_grid, rounded_box
from pipeline_tasks.drawing.layers import bumps, draw_layer
from pipeline_tasks.drawing.ranges import between, log_between
from pipeline_tasks.drawing.texture_recipes import Beneath, Edge, Lighting, Studio, TextureRecipe, Wear

DARKEST = 0.06
"""Share of its mean light that the darkest spot of a surface keeps."""
FAR_PX = 1000.0
"""Clearance where the window shows no edge."""
FALLS_RIGHT = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]], np.float32) / 8
"""Sobel's filter: the slope along x, above 0 where a height falls to the right; its transpose: downwards."""


class Surface(NamedTuple):
    """A clean surface under a lamp, before the camera. Fields are [H, W], lengths px.

    Light is in grey levels, [H, W, 3], and may exceed 255: the camera saturates.
    """

    grid: Grid
    """Coordinates, (0, 0) at the centre."""
    light: Field
    """What the camera receives from the sound surface."""
    beneath: Field
    """What shows where material is missing, [H, W, 3]: similarly lit."""
    clearance: Field
    """Signed distance to the nearest edge of the part, negative outside it; FAR_PX where the window shows no edge."""
    lamp: tuple[float, float]
    """Unit vector in the image towards the lamp."""


class _Finish(NamedTuple):
    """What a scene has settled before any field is drawn: tints are R, G, B in grey levels."""

    tint: Field
    grain: float
    lamp: tuple[float, float]


def draw_surface(
    rng: np.random.Generator, recipe: TextureRecipe, studio: Studio, side_px: int, edged: bool = False
) -> Surface:
    """Draw a window of `side_px` of the material in `recipe`, with its lamps, perhaps with the part's edge.

    `edged`: certainly with it.
    """
    grid = _grid(side_px)
    angle, grain = rng.uniform(0, 2 * math.pi), rng.uniform(-math.pi / 2, math.pi / 2)
    finish = _Finish(_tint(rng, recipe), grain, (math.cos(angle), math.sin(angle)))
    gain = _gain(rng, grid, studio.lighting, between(rng, recipe.gloss))
    light = _material(rng, grid, recipe, finish)
    if rng.random() < studio.wear.share:
        light *= _wear(rng, grid, studio.wear, grain)
    beneath = _beneath(rng, grid, recipe, finish, studio.beneath) * gain
    clearance = np.full((side_px, side_px), FAR_PX, np.float32)
    light *= gain
    if rng.random() < studio.edge.share or edged:
        clearance = _edge(rng, grid, studio.edge)
        light = _cut(rng, light, beneath, clearance, studio.edge, finish.lamp)
    return Surface(grid, light, beneath, clearance, finish.lamp)


@lru_cache(maxsize=4)
def _grid(side_px: int) -> Grid:
    grid = pixel_grid(side_px, 1)
    for axis in grid:
        axis.flags.writeable = False
    return grid


def _tint(rng: np.random.Generator, recipe: TextureRecipe) -> Field:
    """Return the material's mean light, R, G, B, of the recipe's brightness."""
    hue = between(rng, recipe.hues) % 1
    low, high = recipe.saturation
    colour = np.array(colorsys.hsv_to_rgb(hue, low + (high - low) * rng.random() ** 2, 1.0), np.float32)
    return colour * np.float32(3 * between(rng, recipe.brightness) / colour.sum())


def _material(rng: np.random.Generator, grid: Grid, recipe: TextureRecipe, finish: _Finish) -> Field:
    """Return the evenly lit material, [H, W, 3]: its tint, changed by each layer in a tone of its own."""
    zoom = log_between(rng, recipe.zoom)
    frame = _frame(rng, grid, recipe, finish.grain)
    weights = np.array([between(rng, layer.weight) for layer in recipe.layers], np.float32)
    fields = []
    for layer in recipe.layers:
        field = draw_layer(rng, frame, layer, zoom)
        fields.append(_shaded(field, finish.lamp) if layer.relief else field)
    weights *= log_between(rng, recipe.contrast) / math.sqrt(float((weights**2).sum()) + 1e-6)
    chroma = rng.normal(1, 0.15, (len(weights), 3))
    tones = np.asarray(weights[:, None] * chroma, np.float32) * finish.tint
    light = np.stack(fields, 2).reshape(-1, len(fields)) @ tones + finish.tint
    return np.asarray(np.maximum(light, DARKEST * finish.tint), np.float32).reshape(*grid.x.shape, 3)


def _wear(rng: np.random.Generator, grid: Grid, wear: Wear, grain: float) -> Field:
    """Return what wear leaves of the light, [H, W, 1]."""
    layer = wear.layers[rng.integers(len(wear.layers))]
    change = log_between(rng, wear.contrast) * draw_layer(rng, grid.posed((0, 0), grain), layer, 1)
    return np.asarray(np.maximum(1 + change, DARKEST), np.float32)[..., None]


def _frame(rng: np.random.Generator, grid: Grid, recipe: TextureRecipe, grain: float) -> Grid:
    """Return coordinates in the pattern's frame: turned, shifted, and bent as far as the recipe says."""
    frame = grid.posed((rng.uniform(-200, 200), rng.uniform(-200, 200)), grain)
    warp = between(rng, recipe.warp)
    if warp <= 0:
        return frame
    side = grid.x.shape[0]
    return Grid(frame.x + warp * bumps(rng, side, 28), frame.y + warp * bumps(rng, side, 28))


def _shaded(height: Field, lamp: tuple[float, float]) -> Field:
    """Return how a relief is lit: slopes that face the lamp are bright; unit variance."""
    slope = _facing(height, lamp)
    return np.asarray(slope * (1 / (cv2.meanStdDev(slope)[1].item() + 1e-3)), np.float32)


def _facing(height: Field, lamp: tuple[float, float]) -> Field:
    """Return how steeply the ground falls towards the lamp: below 0 where it rises."""
    kernel = lamp[0] * FALLS_RIGHT + lamp[1] * FALLS_RIGHT.T
    return np.asarray(cv2.filter2D(height, -1, kernel, borderType=cv2.BORDER_REPLICATE), np.float32)


def _gain(rng: np.random.Generator, grid: Grid, lighting: Lighting, gloss: float) -> Field:
    """Return the lamps' gain over the window, [H, W, 1]: gradient, dark corners, perhaps a highlight or a shadow."""
    half, turn = grid.x.shape[0] / 2, rng.uniform(0, 2 * math.pi)
    slope = between(rng, lighting.gradient) / half
    gain = 1 + (slope * math.cos(turn)) * grid.x + (slope * math.sin(turn)) * grid.y
    gain -= between(rng, lighting.vignette) / (2 * half * half) * (grid.x**2 + grid.y**2)
    if rng.random() < lighting.highlight:
        gain += gloss * _glare(rng, grid, lighting)
    if rng.random() < lighting.shadow:
        gain *= 1 - between(rng, lighting.shadow_depth) * _across(rng, grid)
    return np.asarray(np.maximum(gain, 0.1)[..., None], np.float32)


def _glare(rng: np.random.Generator, grid: Grid, lighting: Lighting) -> Field:
    side = grid.x.shape[0]
    width, length = (side * log_between(rng, lighting.highlight_width) for _ in range(2))
    centre = (rng.uniform(-0.6, 0.6) * side, rng.uniform(-0.6, 0.6) * side)
    here = grid.posed(centre, rng.uniform(0, math.pi))
    return np.asarray(np.exp(-0.5 * ((here.x / (2 * length)) ** 2 + (here.y / width) ** 2)), np.float32)


def _across(rng: np.random.Generator, grid: Grid) -> Field:
    """Return a soft step across the window, 0 on one side and 1 on the other."""
    side, turn = grid.x.shape[0], rng.uniform(0, 2 * math.pi)
    depth = math.cos(turn) * grid.x + math.sin(turn) * grid.y - rng.uniform(-0.4, 0.4) * side
    return np.asarray(np.clip(0.5 + depth / rng.uniform(2, 0.5 * side), 0, 1), np.float32)


def _beneath(rng: np.random.Generator, grid: Grid, recipe: TextureRecipe, finish: _Finish, own: Beneath) -> Field:
    """Return what lies under the material, evenly lit, [H, W, 3]: plain or rough ground, or the pattern drawn anew."""
    tint = finish.tint * (log_between(rng, own.ratio) * rng.uniform(0.75, 1.25, 3)).astype(np.float32)
    if rng.random() < own.own_layers:
        return _material(rng, grid, recipe, finish._replace(tint=tint, grain=finish.grain + rng.uniform(0.3, 1.5)))
    side, cell = grid.x.shape[0], log_between(rng, own.cell)
    rough = bumps(rng, side, cell) + 0.6 * bumps(rng, side, 0.4 * cell)
    change = log_between(rng, own.contrast) * (_shaded(rough, finish.lamp) if rng.random() < 0.5 else rough)
    return np.asarray(np.maximum(1 + change, DARKEST)[..., None] * tint, np.float32)


def _edge(rng: np.random.Generator, grid: Grid, edge: Edge) -> Field:
    """Return the signed distance to the part's edge: straight, a rounded corner, an outer curve or a hole."""
    side = grid.x.shape[0]
    here = grid.posed((0, 0), rng.uniform(0, 2 * math.pi))
    reach = (2 * between(rng, edge.covered) - 1) * 0.5 * side
    if rng.random() < edge.straight:
        return np.asarray(reach - here.x, np.float32)
    if rng.random() < 0.4:
        far = 4.0 * side
        corner = Grid(here.x - reach + far, here.y - rng.uniform(0.1, 0.6) * side + far)
        return -rounded_box(corner, far, far, rng.uniform(2, 0.6 * side))
    radius = side * rng.uniform(0.3, 2.5)
    if rng.random() < 0.5:
        return np.asarray(radius - np.hypot(here.x - reach + radius, here.y), np.float32)
    return np.asarray(np.hypot(here.x - reach - radius, here.y) - radius, np.float32)


def _cut(
    rng: np.random.Generator, light: Field, beneath: Field, clearance: Field, edge: Edge, lamp: tuple[float, float]
) -> Field:
    """Return the light of a part that ends where `clearance` is 0: a chamfer lit by its slope, background beyond."""
    facing = _facing(clearance, lamp)
    sloping = np.clip(1.2 - clearance / log_between(rng, edge.chamfer), 0, 1)
    light = light * np.maximum(1 + between(rng, edge.shading) * sloping * facing, DARKEST)[..., None]
    inside = np.clip(clearance + 0.5, 0, 1)[..., None]
    return np.asarray(beneath + inside * (light - beneath), np.float32)
