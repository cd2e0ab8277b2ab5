"""What a real defect looks like, measured on its image, for a new one to look alike (METHODS section 3a)."""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline_tasks.images.boxes import Box, bounding_box, crop, inside
from pipeline_tasks.images.codec import Mask
from pipeline_tasks.inpainting.appearance import Guide, measure_code, measure_guide
from pipeline_tasks.inpainting.level import CELL_PX, MARGIN_PX, Floats, level_field
from pipeline_tasks.inpainting.training_windows import DefectImage, random_box, residual

LARGEST_PX = 512
"""A larger defect is scaled down by a whole number before its guide is measured, which keeps nothing fine anyway."""


@dataclass(frozen=True)
class Exemplar:
    """A real defect's code, of a window of it, its guide, and the mean level of its surface in grey levels."""

    code: Floats
    guide: Guide
    level: float


def measure_exemplar(image: DefectImage, window_px: int, scale: float, rng: np.random.Generator) -> Exemplar:
    """Measure a real defect; the window that its code is measured in is random. scale: grey levels per unit."""
    window = random_box(image, window_px, rng)
    code = measure_code(residual(image, window) / scale, crop(image.mask, window).astype(bool))
    pixels, mask, hole = _surroundings(image)
    level = level_field(pixels, ~hole)
    return Exemplar(code, measure_guide((pixels - level) / scale, mask), float(level[mask].mean()))


def _surroundings(image: DefectImage) -> tuple[Floats, Mask, Mask]:
    """Return pixels [h, w, 3], mask and hole [h, w] of a defect and its context, scaled down to about LARGEST_PX."""
    box = bounding_box(image.mask, MARGIN_PX)
    factor = -(-max(box.height, box.width) // LARGEST_PX)
    step = CELL_PX * factor
    height, width = (-(-side // step) * step for side in (box.height, box.width))
    box, size = Box(box.y, box.x, height, width), (width // factor, height // factor)
    pixels, mask, hole = (
        cv2.resize(plane.astype(np.uint8), size, interpolation=cv2.INTER_AREA)
        for plane in (crop(image.pixels, box), 255 * inside(image.mask, box), 255 * crop(image.hole, box).astype(bool))
    )
    return pixels.astype(np.float32), mask > 0, hole > 0
