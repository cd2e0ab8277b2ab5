"""What the detector sees: images at native resolution with the defect's mask, and square windows of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.images.boxes import box_around, crop
from pipeline_tasks.images.codec import Mask, Pixels, decode_image, decode_mask
from pipeline_tasks.params import Evaluate

Floats = NDArray[np.float32]
SPREAD_FLOOR = 10.0
"""Grey levels added to an image's standard deviation, so that the noise of a blank image is not blown up."""


@dataclass(frozen=True, slots=True)
class Scene:
    """An image, or the part of one around its defect, as RGB uint8 [H, W, 3] with mask bool [H, W].

    `level` and `spread` are mean and standard deviation of the whole image's grey levels.
    """

    pixels: Pixels
    mask: Mask
    level: float
    spread: float

    def normalised(self, pixels: NDArray[Any]) -> Floats:
        """Return RGB `pixels` [h, w, 3] of this image in units of its spread, zero at its level: exposure drops out."""
        return np.asarray((pixels.astype(np.float32) - self.level) / (self.spread + SPREAD_FLOOR), np.float32)


def open_scene(image: bytes, mask: bytes | None, max_image_px: int) -> Scene:
    """Decode PNGs; an image whose longest side exceeds `max_image_px` is scaled down, its mask too."""
    pixels = decode_image(image)
    defect = decode_mask(mask) if mask is not None else np.zeros(pixels.shape[:2], bool)
    scale = max_image_px / max(pixels.shape)
    if scale < 1:
        size = (max(1, round(scale * pixels.shape[1])), max(1, round(scale * pixels.shape[0])))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        # A pixel that holds any defect is defect: thin cracks would vanish under a threshold.
        defect = cv2.resize(defect.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
    return Scene(pixels, defect, float(pixels.mean()), float(pixels.std()))


def around_defect(scene: Scene, margin_px: int) -> Scene:
    """Return the part of `scene` within `margin_px` of its defect's bounding box, so that the rest can be let go."""
    rows, columns = (np.flatnonzero(scene.mask.any(axis=axis)) for axis in (1, 0))
    part = tuple(slice(max(0, int(at[0]) - margin_px), int(at[-1]) + 1 + margin_px) for at in (rows, columns))
    return replace(scene, pixels=scene.pixels[part].copy(), mask=scene.mask[part].copy())


class TrainingWindows:
    """Draws batches of windows: half near a defect, half anywhere on the real images, all randomly flipped.

    Of those near a defect, `synthetic_fraction` come from `synthetic` scenes where there are any.
    """

    def __init__(self, real: Sequence[Scene], synthetic: Sequence[Scene], params: Evaluate) -> None:
        self.real = real
        self.params = params
        near = (params.batch_size + 1) // 2
        made = round(params.synthetic_fraction * near) if synthetic else 0
        defects = [scene for scene in real if scene.mask.any()]
        self.near = [synthetic] * made + [defects] * (near - made)

    def draw(self, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Return images [B, 3, S, S], normalised, and masks [B, 1, S, S] in {0, 1}."""
        centred = [self._near_defect(_one(scenes, rng), rng) for scenes in self.near]
        anywhere = [self._anywhere(_one(self.real, rng), rng) for _ in range(self.params.batch_size - len(centred))]
        images, masks = zip(*centred, *anywhere, strict=True)
        return np.stack(images), np.stack(masks)

    def _near_defect(self, scene: Scene, rng: np.random.Generator) -> tuple[Floats, Floats]:
        y, x = divmod(int(rng.choice(np.flatnonzero(scene.mask))), scene.mask.shape[1])
        reach = self.params.window_px // 4
        dy, dx = rng.integers(-reach, reach + 1, 2)
        return self._window(scene, (y + int(dy), x + int(dx)), rng)

    def _anywhere(self, scene: Scene, rng: np.random.Generator) -> tuple[Floats, Floats]:
        y, x = (int(rng.integers(size)) for size in scene.mask.shape)
        return self._window(scene, (y, x), rng)

    def _window(self, scene: Scene, center_yx: tuple[int, int], rng: np.random.Generator) -> tuple[Floats, Floats]:
        box = box_around(center_yx, self.params.window_px, scene.mask.shape)
        steps = tuple(slice(None, None, -1 if flip else 1) for flip in rng.integers(2, size=2))
        image = scene.normalised(crop(scene.pixels, box))[steps]
        return image.transpose(2, 0, 1), crop(scene.mask, box)[steps][None].astype(np.float32)


def _one(scenes: Sequence[Scene], rng: np.random.Generator) -> Scene:
    return scenes[int(rng.integers(len(scenes)))]
