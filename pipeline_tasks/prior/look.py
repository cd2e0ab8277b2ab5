"""A sheet of drawn scenes, for people to see what the prior learns from."""

from typing import TYPE_CHECKING

import numpy as np

from pipeline_tasks.images.codec import Pixels
from pipeline_tasks.seeds import derive_seed

if TYPE_CHECKING:
    from pipeline_tasks.prior.scenes import Draw

GAP_PX = 4


def draw_sheet(draw: "Draw", seed: int, scenes: int, columns: int, side_px: int) -> Pixels:
    """Return RGB uint8: scenes of `side_px` in rows of `columns`, each above its mask."""
    cells = [_cell(draw, derive_seed(seed, "look", number), side_px) for number in range(scenes)]
    rows = -(-scenes // columns)
    height, width = cells[0].shape[:2]
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for number, cell in enumerate(cells):
        y, x = number // columns * height, number % columns * width
        sheet[y : y + height, x : x + width] = cell
    return sheet


def _cell(draw: "Draw", seed: int, side_px: int) -> Pixels:
    scene = draw(seed, side_px)
    mask = np.where(scene.mask[..., None], np.uint8(255), np.uint8(0)).repeat(3, axis=2)
    shown = np.concatenate([scene.pixels, mask])
    return np.pad(shown, ((0, GAP_PX), (0, GAP_PX), (0, 0)), constant_values=255)
