"""Masks of thresholded Perlin noise on the object (CAGen section 4, DRAEM; Perlin, An Image Synthesizer, 1985)."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.images.codec import Mask
from pipeline_tasks.masks.placement import Placement
from pipeline_tasks.masks.shape import TOUCH_PX, Reason, Refusal, Shape
from pipeline_tasks.params import Perlin

Reals = NDArray[np.float64]
THRESHOLD = 0.35
"""Noise above this is defect: DRAEM's 0.5, of noise that it multiplies by the square root of 2."""
SMALLEST_BLOB_PX = 9
"""Blobs with fewer pixels are left out."""
GRID_PX = 640
"""Larger objects get their noise on a grid of this longest side, scaled up: it is smooth, and memory stays bounded."""


def perlin_noise(x: Reals, y: Reals, rng: np.random.Generator) -> Reals:
    """Return gradient noise at the points (x, y), in lattice cells, of one shape: 0 at lattice points, within ±0.71.

    The lattice gradients are random unit vectors; between them the ramps are blended by 6t^5 - 15t^4 + 10t^3 (Perlin
    2002), so that the noise and its first two derivatives are continuous.
    """
    left, top = int(np.floor(x.min())), int(np.floor(y.min()))
    columns, rows = x.astype(np.float64) - left, y.astype(np.float64) - top
    i, j = np.floor(columns).astype(np.intp), np.floor(rows).astype(np.intp)
    gradients = np.exp(2j * np.pi * rng.random((j.max() + 2, i.max() + 2)))
    u, v = columns - i, rows - j

    def ramp(down: int, right: int) -> Reals:
        gradient = gradients[j + down, i + right]
        return np.asarray(gradient.real * (u - right) + gradient.imag * (v - down))

    upper = ramp(0, 0) + _fade(u) * (ramp(0, 1) - ramp(0, 0))
    lower = ramp(1, 0) + _fade(u) * (ramp(1, 1) - ramp(1, 0))
    return np.asarray(upper + _fade(v) * (lower - upper))


def _fade(t: Reals) -> Reals:
    return t**3 * (t * (6 * t - 15) + 10)


def place_noise(parent: Shape, on: Mask, params: Perlin, rng: np.random.Generator) -> Placement:
    """Draw neighbouring blobs of noise on the object `on`, bool [H, W], that cover a share of it as params say.

    The noise has a random power of two of cells along either axis of a randomly turned grid. The warp is the
    translation that brings the centroid of `parent`, whose appearance the defect will have, to that of the new mask.
    Nothing lies fewer than TOUCH_PX px from the image's border. Raises Refusal.
    """
    rows, columns = np.flatnonzero(on.any(axis=1)), np.flatnonzero(on.any(axis=0))
    if not rows.size:
        raise Refusal(Reason.BACKGROUND)
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    mask = np.zeros(on.shape, bool)
    mask[box] = on[box] & (_turned_noise(on[box].shape, params.cells_max, rng) > THRESHOLD)
    shares = np.array([params.area_min, params.area_max]) * on.sum()
    chosen = _neighbouring_blobs(mask, shares[0], shares[1], rng)
    ys, xs = np.nonzero(chosen)
    shift = np.array([xs.mean(), ys.mean()]) - parent.points.mean(axis=0)
    return Placement(chosen, np.column_stack([np.eye(2), shift]))


def _turned_noise(shape: tuple[int, ...], cells_max: int, rng: np.random.Generator) -> Reals:
    """Return noise [H, W] on a randomly turned lattice, with a power of two of cells along either side of `shape`."""
    cells = 2.0 ** rng.integers(0, cells_max + 1, 2)
    angle, offset = rng.uniform(0, np.pi), rng.random(2)
    shrink = min(1.0, GRID_PX / max(shape))
    x, y = np.meshgrid(*((np.arange(n) + 0.5) / n - 0.5 for n in (math.ceil(side * shrink) for side in shape[::-1])))
    across, along = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    noise = perlin_noise(across * cells[0] + offset[0], along * cells[1] + offset[1], rng)
    return np.asarray(cv2.resize(noise, shape[::-1], interpolation=cv2.INTER_LINEAR))


def _neighbouring_blobs(mask: Mask, least: float, most: float, rng: np.random.Generator) -> Mask:
    """Return a random blob of `mask`, bool [H, W], and the nearest others, until they have a random area in px.

    That is least..most, evenly in its logarithm. Raises Refusal if the blobs do not fit.
    """
    _, labels, stats, centres = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    low, high = stats[:, :2], stats[:, :2] + stats[:, 2:4]
    areas = stats[:, cv2.CC_STAT_AREA]
    inside = (low >= TOUCH_PX).all(axis=1) & (high <= np.array(mask.shape[::-1]) - TOUCH_PX).all(axis=1)
    usable = np.flatnonzero(inside & (areas >= SMALLEST_BLOB_PX) & (areas <= most))
    usable = usable[usable > 0]
    if not usable.size:
        raise Refusal(Reason.EMPTY)
    wanted = np.exp(rng.uniform(np.log(least), np.log(most)))
    start = centres[usable[rng.integers(usable.size)]]
    nearest = usable[np.argsort(np.linalg.norm(centres[usable] - start, axis=1), kind="stable")]
    total = np.cumsum(areas[nearest])
    count = int(np.searchsorted(total, wanted)) + 1
    if count > len(total) or total[count - 1] > most:
        count -= 1
    if count == 0 or total[count - 1] < least:
        raise Refusal(Reason.AREA)
    chosen = np.zeros(len(areas), bool)
    chosen[nearest[:count]] = True
    return np.asarray(chosen[labels])
