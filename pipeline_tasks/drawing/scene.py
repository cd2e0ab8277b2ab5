"""One drawn scene: a material with a defect, the same without it, and the exact mask, as one camera sees them."""

from typing import NamedTuple

import cv2
import numpy as np

from pipeline_tasks.drawing.damage import LARGEST_SHARE, VISIBLE_CHANGE, draw_damage
from pipeline_tasks.drawing.defect_recipes import DefectRecipe
from pipeline_tasks.drawing.fields import Field
from pipeline_tasks.drawing.ranges import chosen
from pipeline_tasks.drawing.sensor import Sensor, draw_sensor
from pipeline_tasks.drawing.surface import Surface, draw_surface
from pipeline_tasks.drawing.world import World
from pipeline_tasks.images.codec import Mask, Pixels

REACH_PX = 3
"""Beyond it from the mask, an image with the defect equals the one without."""
TRIES = 5


class Scene(NamedTuple):
    """A window of side S with a defect, and without it; names are those of the world's recipes."""

    pixels: Pixels
    """RGB uint8 [S, S, 3]."""
    clean: Pixels
    """The same window, lens and noise without the defect; equals `pixels` beyond REACH_PX of the mask."""
    mask: Mask
    """Bool [S, S], never empty, at most LARGEST_SHARE of the window."""
    texture: str
    defect: str


def draw_scene(
    world: World, seed: int, side_px: int, *, texture: str | None = None, defect: str | None = None
) -> Scene:
    """Draw the scene of `seed`, an integer >= 0 of up to 64 bits: seed and world settle its bytes on one machine.

    `texture` and `defect` name recipes of the world (KeyError if it has none of that name); without them, they are
    drawn by their weights, so that those of a scene, when named, give another one. A defect that the camera hardly
    sees is drawn anew, TRIES times at most; the clearest is taken if all of them are faint.
    """
    rng = np.random.default_rng(seed)
    texture, defect = texture or chosen(rng, world.texture_weights), defect or chosen(rng, world.defect_weights)
    recipe = world.defects[defect]
    surface = draw_surface(rng, world.textures[texture], world.studio, side_px, edged=recipe.place == "edge")
    sensor = draw_sensor(rng, world.camera, surface.light)
    image = sensor.expose(surface.light)
    seen = _clear(rng, world.defects[defect], surface, sensor, image)
    return Scene(sensor.read_out(seen.image), sensor.read_out(image), seen.mask, texture, defect)


class _Seen(NamedTuple):
    """A defect as the camera sees it, without noise: by how much the image changes in the mask."""

    image: Field
    mask: Mask
    change: float


def _clear(rng: np.random.Generator, recipe: DefectRecipe, surface: Surface, sensor: Sensor, image: Field) -> _Seen:
    """Return the first defect that is clear enough, or the clearest of those drawn."""
    drawn: list[_Seen] = []
    while not drawn or (drawn[-1].change < VISIBLE_CHANGE and len(drawn) < TRIES):
        damage = draw_damage(rng, recipe, surface)
        mask = damage.cover >= 0.5
        damaged = image + _near(mask) * (sensor.expose(damage.light) - image)
        drawn.append(_Seen(damaged, mask, seen_change(image, damaged, mask)))
    return max(drawn, key=lambda seen: seen.change)


def seen_change(image: Field, damaged: Field, mask: Mask) -> float:
    """Return by how many grey levels two images [H, W, C] differ in `mask` on average, both clipped to 0..255.

    A mask that is empty or larger than LARGEST_SHARE gives -1.
    """
    if not 0 < np.count_nonzero(mask) <= LARGEST_SHARE * mask.size:
        return -1.0
    difference = cv2.absdiff(np.clip(damaged, 0, 255), np.clip(image, 0, 255))
    return float(sum(cv2.mean(difference, mask.view(np.uint8))) / image.shape[2])


def _near(mask: Mask) -> Field:
    """Return weights [H, W, 1]: 1 in the mask and next to it, 0 from REACH_PX on."""
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray(np.clip((REACH_PX - distance) / 1.5, 0, 1), np.float32)[..., None]
