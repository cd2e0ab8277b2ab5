"""Random training windows from a product's base samples: defect windows and normal windows (METHODS section 3a)."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pipeline_tasks.images.boxes import box_around, crop
from pipeline_tasks.images.codec import Mask, Pixels
from pipeline_tasks.images.composite import dilate
from pipeline_tasks.inpainting.windows import Floats, appearance_code, context_level

MIN_SCALE = 4.0


@dataclass(frozen=True)
class DefectImage:
    """A decoded base defect sample: RGB uint8 [H, W, 3], mask bool [H, W], index of its defect."""

    pixels: Pixels
    mask: Mask
    defect: int

    @cached_property
    def points(self) -> np.ndarray:
        """Return the defect pixels, (y, x) [N, 2]."""
        return np.argwhere(self.mask)


@dataclass(frozen=True)
class Window:
    """One training window: (RGB - level) / scale [S, S, 3]; hole and mask, bool [S, S]; code [6]; defect index."""

    pixels: Floats
    hole: Mask
    mask: Mask
    code: Floats
    defect: int


def defect_window(image: DefectImage, side_px: int, dilation_px: int, scale: float, rng: np.random.Generator) -> Window:
    """Return a window of `side_px` around a random defect pixel, normalised by its local context."""
    y, x = image.points[rng.integers(len(image.points))]
    shift = rng.integers(-side_px // 4, side_px // 4 + 1, 2)
    box = box_around((int(y + shift[0]), int(x + shift[1])), side_px, image.mask.shape)
    pixels, mask = crop(image.pixels, box).astype(np.float32), crop(image.mask, box).astype(bool)
    hole = dilate(mask, dilation_px)
    level = context_level(pixels, hole)
    code = appearance_code(pixels, mask, level, scale)
    return Window((pixels - level) / scale, hole, mask, code, image.defect)


def normal_window(normal: Pixels, shape_of: Window, scale: float, rng: np.random.Generator) -> Window:
    """Return a window of a normal image under the hole of `shape_of`: what to paint where there is no defect."""
    side = len(shape_of.hole)
    box = box_around((int(rng.integers(normal.shape[0])), int(rng.integers(normal.shape[1]))), side, normal.shape)
    pixels = crop(normal, box).astype(np.float32)
    level = context_level(pixels, shape_of.hole)
    nothing = np.zeros_like(shape_of.mask)
    return Window((pixels - level) / scale, shape_of.hole, nothing, np.zeros_like(shape_of.code), shape_of.defect)


def uncoded(window: Window) -> Window:
    """Return the window without what its defect looks like: a code of zeros, as a normal window has."""
    return replace(window, code=np.zeros_like(window.code))


def flipped(window: Window, rng: np.random.Generator) -> Window:
    """Return the window, mirrored along each axis with probability one half."""
    axes = tuple(axis for axis in (0, 1) if rng.random() < 0.5)
    pixels, hole, mask = np.flip(window.pixels, axes), np.flip(window.hole, axes), np.flip(window.mask, axes)
    return Window(pixels, hole, mask, window.code, window.defect)


def pixel_scale(images: list[DefectImage], side_px: int, dilation_px: int, rng: np.random.Generator) -> float:
    """Return the standard deviation of hole pixels about their context level, in grey levels; at least MIN_SCALE."""
    spread = []
    for image in images:
        window = defect_window(image, side_px, dilation_px, 1.0, rng)
        spread.append(float(np.square(window.pixels[window.hole]).mean()))
    return max(float(np.sqrt(np.mean(spread))), MIN_SCALE)
