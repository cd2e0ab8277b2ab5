"""A defect drawn onto a surface, and the exact mask of where it is."""

from typing import NamedTuple

import cv2
import numpy as np

from pipeline_tasks.drawing.defect_recipes import Blobs, DefectRecipe, Look
from pipeline_tasks.drawing.fields import Field
from pipeline_tasks.drawing.looks import lit
from pipeline_tasks.drawing.shapes import Region, draw_region
from pipeline_tasks.drawing.surface import Surface

VISIBLE_CHANGE = 4.0
"""Grey levels by which a defect changes the image inside its mask, on average over pixels and channels."""
AIM, MOST_STRENGTHENED = 6.0, 5.0
"""Grey levels that a fainter one is strengthened to, and the largest factor by which it is."""
SMALLEST_PX, LARGEST_SHARE = 4, 0.7
"""How many pixels a mask has at least, and how much of the window at most."""
TRIES = 6
_SPECK = DefectRecipe(shape=Blobs(kind="blobs", radius=(2.0, 5.0)), look=Look(), covers="both")


class Damage(NamedTuple):
    """A surface with a defect."""

    light: Field
    """[H, W, 3] grey levels >= 0 (may exceed 255: the camera saturates); the surface's own beyond 2 px of the mask."""
    cover: Field
    """[H, W] in 0..1: how far a pixel belongs to the defect; >= 0.5 is the mask."""


def draw_damage(rng: np.random.Generator, recipe: DefectRecipe, surface: Surface) -> Damage:
    """Draw the defect that `recipe` describes onto `surface`.

    Its mask is not empty and covers LARGEST_SHARE of the window at most; inside it the light, as far as a camera tells
    it apart (0..255), changes by VISIBLE_CHANGE grey levels on average, or more. What misses the part, or cannot be
    seen there, is drawn again, TRIES times at most; after that a patch is drawn that is certain to be seen.
    """
    for _ in range(TRIES):
        region = draw_region(rng, recipe, surface)
        if not SMALLEST_PX <= np.count_nonzero(region.inside) <= LARGEST_SHARE * region.cover.size:
            continue
        light = _strengthened(lit(rng, recipe.look, surface, region), surface, region)
        if light is not None:
            return Damage(light, region.cover)
    return _plain(rng, surface)


def _strengthened(light: Field, surface: Surface, region: Region) -> Field | None:
    """Return `light`, changed further where its change is too faint; None where even that cannot be seen."""
    change = visible_change(light, surface.light, region.cover)
    if change >= VISIBLE_CHANGE:
        return light
    factor = min(AIM / max(change, 1e-3), MOST_STRENGTHENED)
    light = np.maximum(surface.light + factor * (light - surface.light), 0)
    return light if visible_change(light, surface.light, region.cover) >= VISIBLE_CHANGE else None


def visible_change(light: Field, sound: Field, cover: Field) -> float:
    """Return by how many grey levels two lights [H, W, 3] differ in the mask of `cover` once both are 0..255."""
    difference = cv2.absdiff(np.clip(light, 0, 255), np.clip(sound, 0, 255))
    return float(np.mean(cv2.mean(difference, (cover >= 0.5).astype(np.uint8))[:3]))


def _plain(rng: np.random.Generator, surface: Surface) -> Damage:
    """Draw a black or a white speck, whichever is further from the surface's light."""
    region = draw_region(rng, _SPECK, surface)
    level = np.float32(0 if np.clip(surface.light, 0, 255).mean() > 127 else 255)
    weight = cv2.merge((region.cover,) * 3) * (region.cover > 0.25)[..., None]
    return Damage(surface.light + weight * (level - surface.light), region.cover)
