"""Defect-free counterparts: the defect of a base image is replaced by texture from beside it (METHODS section 0).

Used where a product has no normal images. The smooth part of the image (shading) is interpolated across the hole, the
fine part (texture) is copied from the nearest place that is like the hole's surroundings.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.images.codec import Mask, Pixels
from pipeline_tasks.images.composite import dilate, feather

Floats = NDArray[np.float32]
CELL_PX = 48
_SHIFTS = [(dx, dy) for r in (1, 1.5, 2, 3, 4) for dx, dy in [(r, 0), (-r, 0), (0, r), (0, -r), (r, r), (-r, r), (r, -r), (-r, -r)]]


def remove_defect(pixels: Pixels, mask: Mask, margin_px: int = 8) -> Pixels:
    """Return `pixels`, RGB uint8 [H, W, 3], with what `mask` marks painted over; unchanged beyond `margin_px` of it."""
    hole = dilate(mask, margin_px - 2)
    image = pixels.astype(np.float32)
    smooth = _smooth(image, hole)
    texture = image - smooth
    filled = texture.copy()
    for rows, columns in _cells(hole):
        cell = np.zeros_like(hole)
        cell[rows, columns] = hole[rows, columns]
        dx, dy = _best_shift(image, smooth, cell, hole)
        shifted = np.roll(texture, (-dy, -dx), axis=(0, 1))
        filled[cell] = shifted[cell]
    weight = feather(hole, 2)[..., None]
    result = weight * (smooth + np.where(hole[..., None], filled, texture)) + (1 - weight) * image
    return np.clip(np.rint(result), 0, 255).astype(np.uint8)


def _smooth(image: Floats, hole: Mask) -> Floats:
    """Blur over known pixels only (normalised convolution), the kernel growing until it reaches across the hole."""
    known = (~hole).astype(np.float32)
    smooth, missing, sigma = np.zeros_like(image), np.ones_like(hole), 4.0
    while missing.any() and sigma < max(hole.shape):
        weight = cv2.GaussianBlur(known, (0, 0), sigma)
        blurred = cv2.GaussianBlur(image * known[..., None], (0, 0), sigma) / np.maximum(weight, 1e-6)[..., None]
        now = missing & (weight > 0.2)
        smooth[now] = blurred[now]
        missing &= ~now
        sigma *= 1.5
    smooth[missing] = image[~hole].mean(axis=0) if (~hole).any() else image.mean(axis=(0, 1))
    soft = cv2.GaussianBlur(smooth, (0, 0), 3.0)
    return np.where(hole[..., None], soft, smooth).astype(np.float32)


def _cells(hole: Mask) -> list[tuple[slice, slice]]:
    height, width = hole.shape
    grid = [(slice(y, y + CELL_PX), slice(x, x + CELL_PX)) for y in range(0, height, CELL_PX) for x in range(0, width, CELL_PX)]
    return [cell for cell in grid if hole[cell].any()]


def _best_shift(image: Floats, smooth: Floats, cell: Mask, hole: Mask) -> tuple[int, int]:
    """Return the (dx, dy) to the place whose smooth level and known texture resemble the cell's; (0, 0) if none is free."""
    ys, xs = np.nonzero(cell)
    height, width = hole.shape
    step = max(int(np.ptp(ys)), int(np.ptp(xs))) // 2 + 8
    best, best_cost = (0, 0), np.inf
    for fx, fy in _SHIFTS:
        dx, dy = round(fx * step), round(fy * step)
        inside = (ys + dy >= 0) & (ys + dy < height) & (xs + dx >= 0) & (xs + dx < width)
        if inside.mean() < 0.999:
            continue
        covered = float(hole[ys + dy, xs + dx].mean())
        cost = float(np.abs(smooth[ys + dy, xs + dx] - smooth[ys, xs]).mean()) + 200 * covered + 0.02 * np.hypot(dx, dy)
        if cost < best_cost:
            best, best_cost = (dx, dy), cost
    return best
