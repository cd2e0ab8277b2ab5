"""Plain surfaces that defects are drawn onto."""

import numpy as np

from pipeline_tasks.drawing.fields import Field, pixel_grid
from pipeline_tasks.drawing.surface import FAR_PX, Surface


def flat_surface(
    level: float | tuple[float, float, float] = 120.0,
    side_px: int = 64,
    clearance: Field | None = None,
    lamp: tuple[float, float] = (1.0, 0.0),
) -> Surface:
    """Return an evenly lit surface of `level` grey levels, of half as much beneath; far from any edge by default."""
    light = np.zeros((side_px, side_px, 3), np.float32) + np.array(level, np.float32)
    far = np.full((side_px, side_px), FAR_PX, np.float32)
    return Surface(pixel_grid(side_px, 1), light, 0.5 * light, far if clearance is None else clearance, lamp)


def half_surface(side_px: int = 64) -> Surface:
    """Return a surface that ends in the middle of the window: the part is on the left."""
    return flat_surface(side_px=side_px, clearance=-pixel_grid(side_px, 1).x)
