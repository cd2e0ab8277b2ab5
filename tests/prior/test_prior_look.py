import numpy as np
from tiny_prior import draw

from pipeline_tasks.prior.look import GAP_PX, draw_sheet
from pipeline_tasks.seeds import derive_seed


def test_scenes_are_shown_in_rows_above_their_masks():
    sheet = draw_sheet(draw, 0, scenes=5, columns=3, side_px=32)
    assert sheet.shape == (2 * (64 + GAP_PX), 3 * (32 + GAP_PX), 3)
    fourth = draw(derive_seed(0, "look", 3), 32)
    top = 64 + GAP_PX
    assert np.array_equal(sheet[top : top + 32, :32], fourth.pixels)
    assert np.array_equal(sheet[top + 32 : top + 64, :32, 0] == 255, fourth.mask)
    assert (sheet[top:, -36:] == 255).all(), "there is no sixth"
