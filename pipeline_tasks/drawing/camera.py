"""The inspection camera: from the light of a scene to an image with the blur of a lens and the noise of a sensor."""

import cv2
import numpy as np

from pipeline_tasks.drawing.fields import Field
from pipeline_tasks.images.codec import Pixels

LENS_BLUR_PX = 0.55
READ_NOISE, SHOT_NOISE = 1.1, 0.018
"""Noise in grey levels: standard deviation in the dark, and variance per grey level of light."""


def expose(light: Field, samples_per_px: int) -> Field:
    """Return the noise-free image [H, W, 3] in grey levels of a scene sampled `samples_per_px` times as finely."""
    blurred = cv2.GaussianBlur(light, (0, 0), LENS_BLUR_PX * samples_per_px)
    height, width = light.shape[0] // samples_per_px, light.shape[1] // samples_per_px
    return np.asarray(cv2.resize(blurred, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def read_out(image: Field, noise: Field) -> Pixels:
    """Return `image`, grey levels [H, W, 3], as uint8 with sensor noise; `noise` is standard normal, same shape."""
    deviation = np.sqrt(READ_NOISE**2 + SHOT_NOISE * np.clip(image, 0, None))
    return np.asarray(np.clip(np.rint(image + deviation * noise), 0, 255), np.uint8)
