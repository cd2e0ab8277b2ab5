"""Defect-free counterparts: the defect of a base image is replaced by texture from beside it (METHODS section 0).

Used where a product has no normal images. The smooth part of the image (shading) is interpolated across the hole, the
fine part (texture) is copied from the nearest place that is like the hole's surroundings.
"""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.images.codec import Mask, Pixels
from pipeline_tasks.images.composite import dilate, feather

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]
Shift = tuple[int, int]
MARGIN_PX = 8
"""How far around the mask pixels change: a drawn outline is rarely wider than the defect's own soft edge."""
FEATHER_PX = 2
CELL_PX = 48
"""Side of the cells of a hole that get their texture from one place each."""
REACHES = (1, 1.5, 2, 3, 4)
"""How far away texture is looked for, in steps that clear the cell."""
DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))


def remove_defect(pixels: Pixels, mask: Mask) -> Pixels:
    """Return `pixels`, RGB uint8 [H, W, 3], with what `mask` marks painted over; unchanged beyond MARGIN_PX of it."""
    hole = dilate(mask, MARGIN_PX - FEATHER_PX)
    image = pixels.astype(np.float32)
    smooth = _smooth(image, hole)
    texture = image - smooth
    texture[hole] = 0
    look = np.concatenate([smooth, _smooth(np.abs(texture), hole)], axis=2)
    for ys, xs in _cells(hole):
        _copy_texture(texture, hole, ys, xs, _shifts(look, hole, ys, xs))
    weight = feather(hole, FEATHER_PX)[..., None]
    return np.clip(np.rint(weight * (smooth + texture) + (1 - weight) * image), 0, 255).astype(np.uint8)


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


def _cells(hole: Mask) -> Iterator[tuple[Indices, Indices]]:
    """Yield the pixels (ys, xs) of the hole, cell by cell."""
    height, width = hole.shape
    for top in range(0, height, CELL_PX):
        for left in range(0, width, CELL_PX):
            ys, xs = np.nonzero(hole[top : top + CELL_PX, left : left + CELL_PX])
            if ys.size:
                yield ys + top, xs + left


def _shifts(look: Floats, hole: Mask, ys: Indices, xs: Indices) -> list[Shift]:
    """Return (dy, dx) to the places that the cell's texture could come from, the best first: known, alike, near.

    look: brightness and strength of texture [H, W, 6], smooth across the hole.
    """
    step = max(int(np.ptp(ys)), int(np.ptp(xs))) // 2 + MARGIN_PX
    shifts = [(round(reach * y * step), round(reach * x * step)) for reach in REACHES for y, x in DIRECTIONS]
    costs: dict[Shift, float] = {}
    for dy, dx in shifts:
        there = ys + dy, xs + dx
        if min(part.min() for part in there) >= 0 and there[0].max() < hole.shape[0] and there[1].max() < hole.shape[1]:
            unlike = np.abs(look[there] - look[ys, xs]).mean()
            costs[dy, dx] = float(unlike + 200 * hole[there].mean() + 0.02 * np.hypot(dy, dx))
    return sorted(costs, key=costs.__getitem__)


def _copy_texture(texture: Floats, hole: Mask, ys: Indices, xs: Indices, shifts: list[Shift]) -> None:
    """Give the pixels (ys, xs) of `texture` that of the first of `shifts` that leads each out of the hole."""
    for dy, dx in shifts:
        known = ~hole[ys + dy, xs + dx]
        texture[ys[known], xs[known]] = texture[ys[known] + dy, xs[known] + dx]
        ys, xs = ys[~known], xs[~known]
