"""Putting a generated defect into a normal image, which stays equal outside the dilated mask (METHODS section 4)."""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.images.codec import Mask, Pixels


def dilate(mask: Mask, radius_px: int) -> Mask:
    """Return `mask`, bool [H, W], grown by a disc of `radius_px`."""
    if radius_px == 0:
        return mask.copy()
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius_px + 1, 2 * radius_px + 1))
    return cv2.dilate(mask.astype(np.uint8), disc).astype(bool)


def feather(mask: Mask, radius_px: int) -> NDArray[np.float32]:
    """Return weights [H, W] in 0..1: 1 inside `mask`, falling to 0 at `radius_px` + 1 px from it."""
    if radius_px == 0:
        return mask.astype(np.float32)
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.clip(1 - distance / (radius_px + 1), 0, 1).astype(np.float32) * dilate(mask, radius_px)


def composite(normal: Pixels, generated: NDArray[np.float32], mask: Mask, feather_px: int) -> Pixels:
    """Blend `generated`, float RGB 0..255 [H, W, 3], over `normal` inside `mask` with a soft edge of `feather_px`.

    Outside the mask dilated by `feather_px` the result equals `normal` exactly.
    """
    weight = feather(mask, feather_px)[..., None]
    blended = np.clip(np.rint(weight * generated + (1 - weight) * normal), 0, 255).astype(np.uint8)
    return np.where(weight > 0, blended, normal)
