import numpy as np
import pytest

from pipeline_tasks.diffusion.views import mask_box, put_back, see_mask, see_mask_as_picture, see_pixels, view_box
from pipeline_tasks.images.boxes import Box, inside


def line(length, thickness, shape=(400, 900)):
    mask = np.zeros(shape, bool)
    mask[200 : 200 + thickness, 20 : 20 + length] = True
    return mask


@pytest.mark.parametrize(("length", "thickness"), [(30, 1), (300, 1), (800, 1), (800, 2)])
@pytest.mark.parametrize("view", ["window", "image"])
def test_a_thin_defect_is_seen_unbroken_however_far_it_is_scaled_down(length, thickness, view):
    mask = line(length, thickness)
    box = view_box(mask, 64, view)
    seen = see_mask(mask, box, 64)
    columns = np.flatnonzero(seen.any(axis=0))
    assert len(columns) >= 64 * length // box.width
    assert (np.diff(columns) == 1).all()
    assert seen.any(axis=1).sum() <= 2


def test_a_small_defect_is_seen_as_it_is():
    mask = line(10, 5)
    box = view_box(mask, 64, "window")
    assert (box.height, box.width) == (64, 64)
    seen = see_mask(mask, box, 64)
    assert np.array_equal(seen, mask[box.y : box.y + 64, box.x : box.x + 64])


def test_the_whole_defect_is_in_its_view_with_some_context():
    mask = line(600, 40)
    box = view_box(mask, 64, "window")
    assert box.x <= 20 and box.x + box.width >= 620
    assert box.height == box.width == 750


def test_what_lies_beyond_the_image_is_no_defect():
    mask = np.ones((20, 20), bool)
    seen = see_mask(mask, Box(-10, 0, 40, 40), 40)
    assert seen.sum() == 400 and seen[10:30, :20].all()


def test_an_empty_mask_is_seen_in_the_middle():
    assert view_box(np.zeros((100, 200), bool), 64, "window") == Box(18, 68, 64, 64)


def test_a_masks_own_box_is_a_square_around_it():
    box = mask_box(line(100, 11))
    assert (box.height, box.width) == (125, 125)
    assert box.x + box.width / 2 == pytest.approx(70, abs=1) and box.y + box.height / 2 == pytest.approx(205.5, abs=1)


def test_pixels_come_back_as_they_were_seen():
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    box = Box(0, 0, 64, 64)
    seen = see_pixels(pixels, box, 64)
    assert seen.shape == (3, 64, 64) and -1 <= seen.min() < seen.max() <= 1
    assert np.allclose(put_back(seen, box), pixels, atol=1e-3)
    shade = np.full((200, 300, 3), 51, np.uint8)
    assert np.allclose(put_back(see_pixels(shade, Box(0, 0, 200, 300), 64), Box(0, 0, 200, 300)), 51, atol=1e-3)


@pytest.mark.parametrize("thickness", [6, 10, 40])
def test_a_mask_seen_as_a_picture_keeps_its_edges_where_they_are(thickness):
    mask = line(300, thickness)
    box = mask_box(mask)
    picture = see_mask_as_picture(mask, box, 96)
    assert picture.shape == (3, 96, 96) and picture.min() == -1 and picture.max() <= 1
    back = put_back(picture, Box(0, 0, box.height, box.width)).mean(axis=2) > 127
    there = mask[box.y + box.height // 2 - 60 : box.y + box.height // 2 + 60, 20:320]
    middle = back[box.height // 2 - 60 : box.height // 2 + 60, 20 - box.x : 320 - box.x]
    assert (middle & there).sum() / (middle | there).sum() > 0.8
    own = see_mask_as_picture(mask, box, box.height)
    assert np.array_equal(own[0] > 0, inside(mask, box))
