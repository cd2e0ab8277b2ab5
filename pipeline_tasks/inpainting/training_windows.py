"""Random training windows from a product's base samples: defect windows and normal windows (METHODS section 3a)."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pipeline_tasks.images.boxes import Box, box_around, crop
from pipeline_tasks.images.codec import Mask, Pixels
from pipeline_tasks.images.composite import dilate
from pipeline_tasks.inpainting.appearance import PLANES, Guide, laid, look, measure_code, measure_guide
from pipeline_tasks.inpainting.level import MARGIN_PX, Floats, grown, level_field, level_within, trimmed

MIN_SCALE = 4.0
JITTER = 0.15
"""A guide is laid as inexactly as one from another shape would be: sides and position off by up to this share."""


@dataclass(frozen=True)
class DefectImage:
    """A decoded base defect sample: RGB uint8 [H, W, 3], mask bool [H, W], index of its defect, growth of the hole."""

    pixels: Pixels
    mask: Mask
    defect: int
    dilation_px: int

    @cached_property
    def points(self) -> np.ndarray:
        """Return the defect pixels, (y, x) [N, 2]."""
        return np.argwhere(self.mask)

    @cached_property
    def hole(self) -> Mask:
        """Return the mask, grown by dilation_px."""
        return dilate(self.mask, self.dilation_px)


@dataclass(frozen=True)
class Window:
    """One training window: (RGB - level) / scale [S, S, 3]; hole, mask, bool [S, S]; look [S, S, 7]; defect index."""

    pixels: Floats
    hole: Mask
    mask: Mask
    look: Floats
    defect: int


def defect_window(image: DefectImage, side_px: int, scale: float, guided: bool, rng: np.random.Generator) -> Window:
    """Return a window of `side_px` around a random defect pixel, relative to its surface; `guided`: with a guide."""
    box = random_box(image, side_px, rng)
    hole, mask = (crop(plane, box).astype(bool) for plane in (image.hole, image.mask))
    return described(residual(image, box) / scale, hole, mask, image.defect, guided, rng)


def described(pixels: Floats, hole: Mask, mask: Mask, defect: int, guided: bool, rng: np.random.Generator) -> Window:
    """Return a window of these pixels, (RGB - level) / scale [S, S, 3], with what they look like in the mask."""
    colour = _inexact(measure_guide(pixels, mask), mask, rng) if guided else None
    return Window(pixels, hole, mask, look(mask, measure_code(pixels, mask), colour), defect)


def plain(pixels: Floats, hole: Mask, defect: int) -> Window:
    """Return a window of these pixels, (RGB - level) / scale [S, S, 3], with no defect in the hole."""
    return Window(pixels, hole, np.zeros_like(hole), np.zeros((*hole.shape, PLANES), np.float32), defect)


def random_box(image: DefectImage, side_px: int, rng: np.random.Generator) -> Box:
    """Return a square of `side_px` with a random defect pixel in its middle half."""
    y, x = image.points[rng.integers(len(image.points))]
    shift = rng.integers(-side_px // 4, side_px // 4 + 1, 2)
    return box_around((int(y + shift[0]), int(x + shift[1])), side_px, image.mask.shape)


def residual(image: DefectImage, box: Box) -> Floats:
    """Return RGB - level [h, w, 3] of a part of an image, grey levels."""
    return crop(image.pixels, box).astype(np.float32) - level_within(image.pixels, image.hole, box)


def _inexact(guide: Guide, mask: Mask, rng: np.random.Generator) -> Floats:
    y, x, height, width = guide.extent
    (stretch_y, stretch_x), (shift_y, shift_x) = 1 + rng.uniform(-JITTER, JITTER, 2), rng.uniform(-JITTER, JITTER, 2)
    box = (y + shift_y * height, x + shift_x * width, height * stretch_y, width * stretch_x)
    return laid(guide, box, mask.shape)


def normal_window(normal: Pixels, shape_of: Window, scale: float, rng: np.random.Generator) -> Window:
    """Return a window of a normal image under the hole of `shape_of`: what to paint where there is no defect."""
    side = len(shape_of.hole)
    box = box_around((int(rng.integers(normal.shape[0])), int(rng.integers(normal.shape[1]))), side, normal.shape)
    around = crop(normal, grown(box)).astype(np.float32)
    level = level_field(around, ~np.pad(shape_of.hole, MARGIN_PX))
    return plain(trimmed(around - level) / scale, shape_of.hole, shape_of.defect)


def uncoded(window: Window) -> Window:
    """Return the window without what its defect looks like, as a normal window is."""
    return replace(window, look=np.zeros_like(window.look))


def flipped(window: Window, rng: np.random.Generator) -> Window:
    """Return the window, mirrored along each axis with probability one half."""
    axes = tuple(axis for axis in (0, 1) if rng.random() < 0.5)
    pixels, planes = np.flip(window.pixels, axes), np.flip(window.look, axes)
    return Window(pixels, np.flip(window.hole, axes), np.flip(window.mask, axes), planes, window.defect)


def pixel_scale(images: list[DefectImage], side_px: int, rng: np.random.Generator) -> float:
    """Return the standard deviation of hole pixels about their level, in grey levels; at least MIN_SCALE."""
    spread = []
    for image in images:
        box = random_box(image, side_px, rng)
        hole = crop(image.hole, box).astype(bool)
        spread.append(float(np.square(residual(image, box)[hole]).mean()))
    return max(float(np.sqrt(np.mean(spread))), MIN_SCALE)
