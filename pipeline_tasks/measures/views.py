"""What the measures of generation look at: square RGB views around defects, all of one size."""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.images.boxes import bounding_box, box_around, crop
from pipeline_tasks.images.codec import Mask, Pixels

Views = NDArray[np.uint8]
"""RGB uint8 [N, side, side, 3]."""
CONTEXT = 1.5
"""A defect is seen in a square this many times its extent, so that its edge and the material around it count."""


def defect_view(pixels: Pixels, mask: Mask, side_px: int) -> Pixels:
    """Return the square around what `mask`, bool [H, W], not empty, marks in `pixels`, RGB uint8 [H, W, 3].

    Scaled to [side_px, side_px, 3]: down by areas, or up to twice, for a smaller defect gets more surroundings
    instead. The square is shifted into the image where it fits; else the image's edge is repeated.
    """
    box = bounding_box(mask, 0)
    extent = max(box.height, box.width)
    side = min(max(round(CONTEXT * extent), -(-side_px // 2)), max(mask.shape))
    centre = (box.y + box.height // 2, box.x + box.width // 2)
    seen = np.asarray(crop(pixels, box_around(centre, side, mask.shape)), np.uint8)
    way = cv2.INTER_AREA if side > side_px else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(seen, (side_px, side_px), interpolation=way), np.uint8)
