import cv2
import numpy as np
import pytest

from pipeline_tasks.measures.views import CONTEXT, defect_view


def scene(top, left, height, width, shape=(300, 400)):
    """A picture whose green is its row and whose blue is its column, by halves; its defect is all red."""
    rows, columns = np.indices(shape)
    mask = (rows >= top) & (rows < top + height) & (columns >= left) & (columns < left + width)
    return np.stack([mask * 255, rows // 2, columns // 2], -1).astype(np.uint8), mask


@pytest.mark.parametrize("side_px", [32, 64, 128])
def test_the_defect_fills_its_share_of_a_view(side_px):
    view = defect_view(*scene(100, 150, 100, 60), side_px)
    assert view.shape == (side_px, side_px, 3)
    assert view.dtype == np.uint8
    seen = cv2.connectedComponentsWithStats((view[..., 0] > 127).astype(np.uint8))[2][1]
    assert seen[3] == pytest.approx(side_px / CONTEXT, abs=1.5)
    assert seen[2] == pytest.approx(0.6 * side_px / CONTEXT, abs=1.5)
    middle = side_px // 2
    assert view[middle, middle].tolist() == pytest.approx([255, 75, 90], abs=2)


def test_a_small_defect_gets_surroundings_instead_of_a_blur():
    view = defect_view(*scene(100, 150, 3, 3), 64)
    assert (view[..., 0] > 127).sum() == pytest.approx(36, abs=8)


def test_at_the_border_the_view_is_shifted_inside():
    view = defect_view(*scene(0, 0, 40, 40), 60)
    assert view[0, 0].tolist() == [255, 0, 0]
    assert (view[..., 0] > 127).mean() == pytest.approx(1 / CONTEXT**2, abs=0.02)
    assert (view[-1, -1] == (0, 29, 29)).all()


def test_a_defect_across_the_image_is_seen_whole():
    pixels, mask = scene(140, 0, 20, 400)
    view = defect_view(pixels, mask, 100)
    assert (view[50, :, 0] == 255).all()
    assert (view[50, 0, 2], view[50, -1, 2]) == pytest.approx((0, 199), abs=3)


def test_scaling_down_averages_areas():
    rng = np.random.default_rng(0)
    mask = np.zeros((128, 128), bool)
    mask[:, :] = True
    pixels = rng.integers(0, 256, (128, 128, 3), dtype=np.uint8)
    expected = pixels.reshape(32, 4, 32, 4, 3).mean((1, 3))
    assert np.abs(defect_view(pixels, mask, 32) - expected).max() <= 0.51
