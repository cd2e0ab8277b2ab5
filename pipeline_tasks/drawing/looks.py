"""How light changes in a defect: what fills it, its tone, tint, texture and relief."""

import math

import cv2
import numpy as np

from pipeline_tasks.drawing.defect_recipes import NONE, Look
from pipeline_tasks.drawing.fields import Field, ramp, ridge
from pipeline_tasks.drawing.grains import draw_grain, noise, rough
from pipeline_tasks.drawing.ranges import between
from pipeline_tasks.drawing.shapes import Region
from pipeline_tasks.drawing.surface import Surface

REACH_PX = 2.0
"""How far beyond its mask a defect may change the light."""
BLOCK_PX = 16
"""What is coarser than this is the lighting of a surface, what is finer its texture."""
DIM = 24.0
"""Grey levels below which a surface shows no dark defect."""
TURNED = 0.5
"""How many of the displaced parts are turned, and not only shifted."""
SHADOW_PX = 1.4
"""How far the shadow of what lies on a surface is from it."""
AMBIENT = 40.0
"""Grey levels that a bright defect adds at strength 1, beside its share of the light: a black surface shows it, too."""


def lit(rng: np.random.Generator, look: Look, surface: Surface, region: Region) -> Field:
    """Return `surface`'s light [H, W, 3] with a defect that looks so in `region`: >= 0, changed within REACH_PX."""
    filling = _filling(rng, look, surface, region)
    weight = region.cover * ramp(region.inside, -1, between(rng, look.soft) + 0.5)
    near = np.clip(REACH_PX - region.outside, 0, 1)
    light = surface.light + _rgb(weight * near) * (filling - surface.light)
    gain = near * (_slopes(rng, look, surface, region) + _outline(rng, look, surface, region))
    light *= 1 + _rgb(gain)
    if look.gloss[1]:
        light += _rgb(255 * between(rng, look.gloss) * region.cover * _highlight(surface, region))
    return np.maximum(light, 0)


def _filling(rng: np.random.Generator, look: Look, surface: Surface, region: Region) -> Field:
    """Return the light [H, W, 3] of what the inside is made of, before relief."""
    fill = {"surface": surface.light, "beneath": surface.beneath}.get(look.fill)
    fill = _displaced(rng, surface.light) if fill is None else fill
    base = _lighting(fill)
    filling = base + between(rng, look.keeps) * (fill - base)
    shade, added = _tone(rng, look, float(base.mean()))
    gain = np.full(region.cover.shape, shade, np.float32)
    if look.grains:
        grain = look.grains[int(rng.integers(len(look.grains)))]
        gain += between(rng, grain.contrast) * max(shade, 0.3) * draw_grain(rng, grain, len(gain))
    if look.shading[1]:
        gain *= 1 + between(rng, look.shading) * noise(rng, len(gain), max(region.radius, 8) * rng.uniform(0.6, 1.6))
    if look.hollow[1]:
        gain *= 1 - between(rng, look.hollow) * ramp(region.inside, 0, region.radius)
    return np.asarray((filling * _rgb(gain) + added) * _tint(rng, look, surface), np.float32)


def _tone(rng: np.random.Generator, look: Look, level: float) -> tuple[float, float]:
    """Return the factor on the fill's light and the grey levels added to it: dark, or bright."""
    if look.bright[1] and (rng.random() < look.bright_share or level < DIM):
        strength = between(rng, look.bright)
        return 1 + strength, AMBIENT * strength
    return 1 - between(rng, look.dark), 0.0


def _tint(rng: np.random.Generator, look: Look, surface: Surface) -> Field:
    """Return factors on R, G, B: all 1 on a grey surface, which a monochrome camera sees."""
    strength = between(rng, look.tint)
    if not strength or _is_grey(surface.light):
        return np.ones(3, np.float32)
    colours = look.colours
    taken = np.array(colours[int(rng.integers(len(colours)))]) if colours else rng.random(3)
    return np.asarray(1 - strength * (taken - taken.min()), np.float32)


def _is_grey(light: Field) -> bool:
    some = light[::7, ::7]
    return bool(np.abs(some - some[..., :1]).max() < 0.5)


def _displaced(rng: np.random.Generator, light: Field) -> Field:
    """Return another part of the surface: shifted by whole px, or turned as well; mirrored beyond the window."""
    side = light.shape[0]
    angle = rng.uniform(0, 360) if rng.random() < TURNED else 0.0
    view = cv2.getRotationMatrix2D((side / 2, side / 2), angle, 1.0)
    view[:, 2] += rng.integers(3, max(side // 3, 4), 2) * rng.choice((-1, 1), 2)
    return np.asarray(cv2.warpAffine(light, view, (side, side), borderMode=cv2.BORDER_REFLECT), np.float32)


def _lighting(light: Field) -> Field:
    """Return the large-scale brightness of `light`."""
    height, width = light.shape[:2]
    few = cv2.resize(light, (max(width // BLOCK_PX, 1), max(height // BLOCK_PX, 1)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(few, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _slopes(rng: np.random.Generator, look: Look, surface: Surface, region: Region) -> Field:
    """Return the gain [H, W] of slopes that face the lamp; negative where they face away."""
    strength, bumps = between(rng, look.relief), between(rng, look.bumps)
    if not strength and not bumps:
        return np.zeros_like(region.cover)
    wide = max(between(rng, look.slope) * region.radius, 1.0)
    height = _profile(region.inside, wide, look.rounded)
    height = height * np.float32(strength if rng.random() < look.raised else -strength)
    if bumps:
        height = height + bumps * ramp(region.inside, 0, wide) * rough(rng, len(height), rng.uniform(2.5, 9))
    return np.asarray(-cv2.filter2D(height, -1, _towards(surface.lamp)), np.float32)


def _profile(inside: Field, wide_px: float, rounded: bool) -> Field:
    """Return a height [H, W] that rises from the outline over `wide_px` and is level from there: as an arc, or an S."""
    if rounded:
        return np.asarray(cv2.blur(wide_px * ramp(ramp(inside, 0, wide_px), 0, 1), (3, 3)), np.float32)
    side = 2 * int(wide_px / 2) + 3
    return np.asarray(cv2.blur(cv2.blur(np.minimum(inside, wide_px), (side, side)), (3, 3)), np.float32)


def _towards(lamp: tuple[float, float]) -> Field:
    """Return the kernel of the slope towards the lamp: Sobel's, per px."""
    across = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32) / 8
    return np.asarray(lamp[0] * across + lamp[1] * across.T, np.float32)


def _outline(rng: np.random.Generator, look: Look, surface: Surface, region: Region) -> Field:
    """Return the gain [H, W] of a rim along the outline, and of the shadow that the defect casts."""
    gain = np.zeros_like(region.cover)
    if look.rim != NONE:
        depth = np.asarray(cv2.blur(region.inside - region.outside, (3, 3)), np.float32)
        gain += between(rng, look.rim) * ridge(depth, 0.5, rng.uniform(0.7, 1.4))
    if look.shadow[1]:
        shift = np.array([[1, 0, -SHADOW_PX * surface.lamp[0]], [0, 1, -SHADOW_PX * surface.lamp[1]]])
        shade = cv2.warpAffine(region.cover, shift, region.cover.shape[::-1])
        gain -= between(rng, look.shadow) * np.clip(shade - region.cover, 0, 1)
    return gain


def _highlight(surface: Surface, region: Region) -> Field:
    """Return a spot of light 0..1 that lies from the middle of the defect towards the lamp."""
    row, column = divmod(int(np.argmax(region.inside)), region.inside.shape[1])
    reach = 0.4 * region.radius
    x = surface.grid.x - surface.grid.x[row, column] - reach * surface.lamp[0]
    y = surface.grid.y - surface.grid.y[row, column] - reach * surface.lamp[1]
    return ridge(np.sqrt(x * x + y * y), 0, max(0.18 * region.radius, 0.7) * math.sqrt(1.5))


def _rgb(field: Field) -> Field:
    return np.asarray(cv2.merge((field, field, field)), np.float32)
