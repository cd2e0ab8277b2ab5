"""The object on an image: where a defect can be (METHODS section 2, placement)."""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.images.codec import Mask, Pixels
from pipeline_tasks.images.composite import dilate

RING_PX = 2
"""Width of the image border whose colour may be the background's."""
RING_SHARE = 0.9
"""A background surrounds the object: it takes at least this share of the border."""
OBJECT_SHARE = 0.08
"""The object takes at least this share of the image; less is a mark on a plain surface."""
CONTRAST = 6.0
"""Object and background differ at least this many times as much as the background does in itself."""
CONTRAST_LEVELS = 20.0
"""And at least this much, grey levels."""
EDGE_SHARPNESS = 0.5
"""At least this share of the contrast lies within 3 px of the outline; less is uneven light."""
STRIP_LEVELS = 8.0
"""A dark strip is plain to within this many grey levels."""
STRIP_LENGTH_PX = 6
"""It takes at least this length of the border, and is no deeper than long: what runs inwards is a mark."""
STRIP_SHARE = 0.25
"""It takes at most this share of the image: what is larger is the object."""
STRIP_CONTRAST = 2.0
"""The object beside a dark strip is at least this many times brighter."""
ANALYSIS_PX = 768
"""Larger images are looked at scaled down to this longest side."""


def foreground(pixels: Pixels, defect: Mask | None = None) -> Mask:
    """Return the object on `pixels`, RGB uint8 [H, W, 3], as bool [H, W]: its holes left out, `defect` [H, W] included.

    Where a plain background surrounds the object, that background is left out; else the object fills the image and only
    plain dark strips at the border, the fixture beside a cropped part, are left out.
    """
    height, width = pixels.shape[:2]
    shrink = min(1.0, ANALYSIS_PX / max(height, width))
    small = cv2.resize(pixels, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    known = np.ones((height, width), bool) if defect is None else ~defect
    known_small = cv2.resize(known.astype(np.uint8), small.shape[1::-1], interpolation=cv2.INTER_NEAREST).astype(bool)
    found = _find_object(cv2.medianBlur(small, 3).astype(np.float32), known_small)
    found = cv2.resize(found.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST).astype(bool)
    return np.asarray(found | ~known)


def _find_object(colours: NDArray[np.float32], known: Mask) -> Mask:
    found = _object_on_plain_background(colours, known)
    return ~_dark_strips(colours.mean(axis=2)) if found is None else found


def _object_on_plain_background(colours: NDArray[np.float32], known: Mask) -> Mask | None:
    """Return what differs from the border's colour, or None where that is not a background around an object."""
    ring = _ring(known.shape) & known
    if not ring.any():
        return None
    distance = np.abs(colours - np.median(colours[ring], axis=0)).max(axis=2)
    threshold, _ = cv2.threshold(distance[known].astype(np.uint8), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    found = distance > threshold
    if (~found[ring]).mean() < RING_SHARE or found[known].mean() < OBJECT_SHARE:
        return None
    inside, outside = np.median(distance[found & known]), np.median(distance[~found & known])
    edge_in, edge_out = found & dilate(~found, 3) & known, ~found & dilate(found, 3) & known
    contrast, step = inside - outside, np.median(distance[edge_in]) - np.median(distance[edge_out])
    plain = inside >= CONTRAST * max(outside, 1) and contrast >= CONTRAST_LEVELS
    return _without_specks(found) if plain and step >= EDGE_SHARPNESS * contrast else None


def _ring(shape: tuple[int, ...]) -> Mask:
    ring = np.ones(shape, bool)
    ring[RING_PX:-RING_PX, RING_PX:-RING_PX] = False
    return ring


def _without_specks(mask: Mask) -> Mask:
    """Smooth the outline by a pixel and keep pieces of at least a tenth of the object."""
    kernel = np.ones((3, 3), np.uint8)
    smooth = cv2.morphologyEx(cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, kernel), cv2.MORPH_OPEN, kernel)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(smooth, connectivity=4)
    keep = stats[:, cv2.CC_STAT_AREA] >= 0.1 * smooth.sum()
    keep[0] = False
    return np.asarray(keep[labels])


def _dark_strips(grey: NDArray[np.float32]) -> Mask:
    """Return plain dark areas at the border of `grey`, 0..255 [H, W], that a sharp edge sets off from the object."""
    ring = _ring(grey.shape)
    dark = grey <= np.percentile(grey[ring], 1) + STRIP_LEVELS
    _, labels, stats, _ = cv2.connectedComponentsWithStats(dark.astype(np.uint8), connectivity=8)
    at_border, ring_areas = np.unique(labels[ring & dark], return_counts=True)
    lengths, areas = ring_areas / RING_PX, stats[at_border, cv2.CC_STAT_AREA]
    strips = np.zeros(grey.shape, bool)
    for label in at_border[(lengths >= STRIP_LENGTH_PX) & (lengths**2 >= areas) & (areas <= STRIP_SHARE * grey.size)]:
        strip = labels == label
        beside = dilate(strip, 4) & ~dilate(strip, 2) & ~dark
        if beside.any() and np.median(grey[beside]) >= STRIP_CONTRAST * max(float(np.median(grey[strip])), 1):
            strips |= dilate(strip, 1)
    return strips
