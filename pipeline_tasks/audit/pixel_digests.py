"""Digests of pixels, as the rows of samples and pairs have them."""

import hashlib

import numpy as np

from pipeline_tasks.images.codec import Mask, Pixels


def image_digest(pixels: Pixels) -> str:
    """Return the SHA-256 (hex) of the raw pixels of an image."""
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def mask_digest(mask: Mask) -> str:
    """Return the SHA-256 (hex) of a mask's raw pixels, uint8 {0, 255}."""
    return image_digest(mask.astype(np.uint8) * np.uint8(255))
