"""What a latent diffusion model sees of an image: a square around the defect, or all of it, at a fixed resolution."""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.images.boxes import Box, box_around, crop, inside
from pipeline_tasks.images.codec import MASK_THRESHOLD, Mask, Pixels

Floats = NDArray[np.float32]
CONTEXT = 1.25
"""A view around a defect is at least this many times as large as the defect."""


def view_box(mask: Mask, resolution_px: int, view: str) -> Box:
    """Return the part of an image that is seen to make the defect under `mask`, bool [H, W].

    'window': a square around the defect at native resolution, larger (and so scaled down) for a larger defect; around
    the middle if the mask is empty. 'image': the whole image, squeezed into a square (the papers).
    """
    height, width = mask.shape
    if view == "image":
        return Box(0, 0, height, width)
    if not mask.any():
        return box_around((height // 2, width // 2), resolution_px, mask.shape)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    extent = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    center = (int(rows[0] + rows[-1] + 1) // 2, int(columns[0] + columns[-1] + 1) // 2)
    side = max(resolution_px, min(int(np.ceil(CONTEXT * extent)), max(height, width)))
    return box_around(center, side, mask.shape)


def mask_box(mask: Mask) -> Box:
    """Return the square around the defect under `mask`, bool [H, W], that is seen when its mask itself is the image."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    extent = max(int(rows[-1] - rows[0]), int(columns[-1] - columns[0])) + 1
    side = int(np.ceil(CONTEXT * extent))
    return Box(int(rows[0] + rows[-1] + 1 - side) // 2, int(columns[0] + columns[-1] + 1 - side) // 2, side, side)


def see_pixels(pixels: Pixels, box: Box, resolution_px: int) -> Floats:
    """Return the part of RGB uint8 `pixels` [H, W, 3] inside `box` as [3, S, S] in -1..1; edges are repeated."""
    seen = _resized(np.asarray(crop(pixels, box), np.float32), (resolution_px, resolution_px))
    return np.ascontiguousarray((seen / 127.5 - 1).transpose(2, 0, 1), np.float32)


def see_mask(mask: Mask, box: Box, resolution_px: int) -> Mask:
    """Return the part of `mask`, bool [H, W], inside `box` as bool [S, S]; scaled down, what holds defect is defect."""
    part = inside(mask, box).astype(np.float32)
    if max(box.height, box.width) <= resolution_px:
        return np.asarray(_resized(part, (resolution_px, resolution_px)) > MASK_THRESHOLD / 255)
    seen = np.zeros((resolution_px, resolution_px), bool)
    ys, xs = np.nonzero(part)
    seen[ys * resolution_px // box.height, xs * resolution_px // box.width] = True
    return seen


def see_mask_as_picture(mask: Mask, box: Box, resolution_px: int) -> Floats:
    """Return the part of `mask`, bool [H, W], inside `box` as a picture [3, S, S], -1 outside to 1 inside.

    Scaled down, a pixel shows the share that the defect has of it, so that its edge is where it was.
    """
    seen = _resized(inside(mask, box).astype(np.float32), (resolution_px, resolution_px))
    return np.repeat(np.clip(seen, 0, 1)[None] * np.float32(2) - np.float32(1), 3, axis=0)


def put_back(seen: Floats, box: Box) -> Floats:
    """Return what `see_pixels` gave, [3, S, S] in -1..1, as RGB 0..255 at native resolution, [h, w, 3] of `box`."""
    return _resized((seen.transpose(1, 2, 0) + 1) * np.float32(127.5), (box.height, box.width))


def _resized(array: Floats, size: tuple[int, int]) -> Floats:
    """Return `array` at `size` (height, width): areas averaged when it shrinks, cubic when it grows."""
    if array.shape[:2] == size:
        return array
    shrinks = array.shape[0] * array.shape[1] > size[0] * size[1]
    return np.asarray(cv2.resize(array, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC))
