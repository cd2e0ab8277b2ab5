"""The inspection camera of one scene: its lens, exposure, tone curve and noise, drawn once for all its exposures."""

from typing import NamedTuple

import cv2
import numpy as np

from pipeline_tasks.drawing.fields import Field
from pipeline_tasks.drawing.ranges import between, log_between
from pipeline_tasks.drawing.texture_recipes import CameraRecipe
from pipeline_tasks.drawing.white_noise import white_noise
from pipeline_tasks.images.codec import Pixels

WHITE = 255.0
BRIGHTEST_MEAN = 215.0
"""No exposure is so long that the mean of a window gets brighter."""
GREY = np.full((1, 3), 1 / 3, np.float32)
"""What a monochrome camera sees of R, G, B."""
SHARPENED_PX = 1.2
"""Standard deviation of what sharpening compares a pixel with."""


class Sensor(NamedTuple):
    """One camera. `noise` is what it adds in the dark, in standard deviations, [H, W, 1 or 3]."""

    blur_px: float
    sharpen: float
    gain: float
    curve: float
    black: float
    read_noise: float
    shot_noise: float
    noise: Field

    @property
    def monochrome(self) -> bool:
        """Whether it sees no colour."""
        return bool(self.noise.shape[2] == 1)

    def expose(self, light: Field) -> Field:
        """Return the image of `light`, [H, W, 3], without noise: [H, W, 1 or 3], grey levels, not limited to 0..255."""
        seen = cv2.transform(light, GREY) if self.monochrome else light
        image = cv2.GaussianBlur(seen, (0, 0), self.blur_px) if self.blur_px > 0.2 else seen
        if self.sharpen > 0:
            image = image + self.sharpen * (image - cv2.GaussianBlur(image, (0, 0), SHARPENED_PX))
        share = image.reshape((*self.noise.shape[:2], -1)) * np.float32(self.gain / WHITE)
        unclipped = np.minimum(share, 1)
        return np.asarray(WHITE * (share + self.curve * unclipped * (1 - unclipped)) + self.black, np.float32)

    def read_out(self, image: Field) -> Pixels:
        """Return an exposed image with noise as RGB uint8 [H, W, 3]; a monochrome camera's channels are equal."""
        deviation = np.sqrt(self.read_noise**2 + self.shot_noise * np.maximum(image, 0))
        levels = np.clip(np.rint(image + deviation * self.noise), 0, WHITE).astype(np.uint8)
        return np.asarray(cv2.cvtColor(levels, cv2.COLOR_GRAY2RGB), np.uint8) if self.monochrome else levels


def draw_sensor(rng: np.random.Generator, recipe: CameraRecipe, light: Field) -> Sensor:
    """Draw a camera that takes `light`, [H, W, 3], without saturating the whole window."""
    channels = 1 if rng.random() < recipe.monochrome else 3
    return Sensor(
        blur_px=log_between(rng, recipe.blur),
        sharpen=between(rng, recipe.sharpen),
        gain=min(log_between(rng, recipe.gain), BRIGHTEST_MEAN / float(light.mean())),
        curve=between(rng, recipe.curve),
        black=between(rng, recipe.black),
        read_noise=log_between(rng, recipe.noise),
        shot_noise=between(rng, recipe.shot),
        noise=_noise(rng, (*light.shape[:2], channels), between(rng, recipe.noise_blur)),
    )


def _noise(rng: np.random.Generator, shape: tuple[int, int, int], blur_px: float) -> Field:
    """Return standard normal noise, correlated over `blur_px`."""
    white = white_noise(rng, shape)
    if blur_px < 0.3:
        return white
    smooth = cv2.GaussianBlur(white, (0, 0), blur_px).reshape(shape)
    return np.asarray(smooth * (1 / cv2.meanStdDev(smooth)[1].mean()), np.float32)
