"""A drawn product for tests: dark blobs on a noisy surface."""

import hashlib

import cv2
import numpy as np

from pipeline_tasks.images.codec import encode_image, encode_mask
from pipeline_tasks.prompts import PromptBook
from pipeline_tasks.schema import GOOD, Sample

PROMPTS = PromptBook({"plate": {"blob": "blob plate", GOOD: "good plate"}}, {})


def blob_sample(number: int, *, side: int = 96, radius: int = 12) -> Sample:
    """Return a base sample with one dark ellipse, somewhere."""
    rng = np.random.default_rng(number)
    pixels, mask = _surface(rng, side), np.zeros((side, side), np.uint8)
    center, axes = rng.integers(radius, side - radius, 2), rng.integers(radius // 2, radius + 1, 2)
    cv2.ellipse(mask, center.tolist(), axes.tolist(), float(rng.integers(180)), 0, 360, 1, -1)
    pixels[mask > 0] = pixels[mask > 0] // 4
    return _sample(f"blob/{number}.png", "blob", pixels, encode_mask(mask > 0), int(mask.sum()))


def good_sample(number: int, *, side: int = 96) -> Sample:
    """Return a normal base sample."""
    pixels = _surface(np.random.default_rng(10_000 + number), side)
    return _sample(f"good/{number}.png", GOOD, pixels, None, 0)


def _surface(rng: np.random.Generator, side: int) -> np.ndarray:
    grey = np.clip(170 + rng.normal(0, 4, (side, side, 1)), 0, 255)
    return grey.repeat(3, axis=2).astype(np.uint8)


def _sample(path: str, defect: str, pixels: np.ndarray, mask: bytes | None, area: int) -> Sample:
    height, width = pixels.shape[:2]
    sha256 = hashlib.sha256(pixels.tobytes()).hexdigest()
    share = area / (height * width)
    centre = (None, None) if mask is None else (0.5, 0.5)
    image = encode_image(pixels)
    numbers = (1, width, height, area, share, *centre)
    return Sample("plate", defect, "base", path, sha256, *numbers, None, None, image, mask)
