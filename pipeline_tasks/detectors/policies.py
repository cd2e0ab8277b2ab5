"""Augmentation policies: how a window or image is varied before a detector learns from it (METHODS section 5).

`flip` is the incumbent. `classic` also turns, scales and changes light, which can cost where orientation or size tells
a defect from what is none: it is an arm to be measured, never the default.
"""

import math
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.images.codec import Mask

Floats = NDArray[np.float32]
Policy = Literal["none", "flip", "classic"]
LOG_SCALES = (math.log(0.8), math.log(1.25))
"""`classic`: logarithms of the least and largest scale, and of the least and largest contrast."""
BRIGHTNESS = 0.3
"""`classic`: largest shift of the level, either way, in units of the image's spread."""


def augment(policy: Policy, image: Floats, mask: Mask, rng: np.random.Generator) -> tuple[Floats, Mask]:
    """Return a variant of a square `image` [S, S, 3], normalised, and of its `mask` [S, S], aligned as they were."""
    if policy == "none":
        return image, mask
    image, mask = _flipped(image, mask, rng)
    return _classic(image, mask, rng) if policy == "classic" else (image, mask)


def _flipped(image: Floats, mask: Mask, rng: np.random.Generator) -> tuple[Floats, Mask]:
    steps = tuple(slice(None, None, -1 if flip else 1) for flip in rng.integers(2, size=2))
    return image[steps], mask[steps]


def _classic(image: Floats, mask: Mask, rng: np.random.Generator) -> tuple[Floats, Mask]:
    turns = int(rng.integers(4))
    scale, contrast = np.exp(rng.uniform(*LOG_SCALES, 2))
    image, mask = _zoomed(np.rot90(image, turns), np.rot90(mask, turns), float(scale))
    return np.asarray(image * contrast + rng.uniform(-BRIGHTNESS, BRIGHTNESS), np.float32), mask


def _zoomed(image: Floats, mask: Mask, scale: float) -> tuple[Floats, Mask]:
    """Scale about the centre; what comes in from beyond the border is mirrored, in the mask as well."""
    side = mask.shape[0]
    warp = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), 0, scale)

    def warped(plane: NDArray[np.generic], how: int) -> NDArray[np.generic]:
        return cv2.warpAffine(
            np.ascontiguousarray(plane), warp, (side, side), flags=how, borderMode=cv2.BORDER_REFLECT_101
        )

    return (
        np.asarray(warped(image, cv2.INTER_LINEAR), np.float32),
        np.asarray(warped(mask.astype(np.uint8), cv2.INTER_NEAREST), bool),
    )
