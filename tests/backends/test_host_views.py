import numpy as np
import pytest
from rows import mask_row

from pipeline_tasks.backends.host_views import at_native_size, host_view, latent_cells
from pipeline_tasks.backends.protocol import RealDefect, Request
from pipeline_tasks.images.boxes import Box


def blob(shape, y, x, side=6):
    mask = np.zeros(shape, bool)
    mask[y : y + side, x : x + side] = True
    return mask


def request(mask):
    normal = np.full((*mask.shape, 3), 100, np.uint8)
    real = RealDefect(normal, mask)
    return Request(mask_row(0, mask), normal, mask, "a pit", real, real, seed=1)


def test_the_hole_is_the_mask_and_what_may_change_around_it():
    view = host_view(request(blob((64, 64), 30, 30)), 64, "window", 2)
    assert view.hole[28:38, 33].all() and view.hole.sum(axis=0).max() == 10
    assert not (view.mask & ~view.hole).any()


@pytest.mark.parametrize(("channel", "grey"), [(100, True), (101, False)])
def test_grey_is_told_from_colour(channel, grey):
    asked = request(blob((64, 64), 30, 30))
    asked.normal[5, 5, 1] = channel
    assert host_view(asked, 32, "window", 2).grey is grey


def test_a_cell_is_masked_where_a_single_pixel_is():
    mask = np.zeros((16, 8), bool)
    mask[9, 3] = True
    assert np.argwhere(latent_cells(mask, 4)).tolist() == [[2, 0]]


def test_a_grey_image_stays_grey_at_its_native_size():
    pixels = np.random.default_rng(0).uniform(-1, 1, (3, 8, 8)).astype(np.float32)
    native = at_native_size(Box(0, 0, 16, 16), True, pixels)
    assert native.shape == (16, 16, 3) and np.ptp(native, axis=2).max() == 0
    assert np.ptp(at_native_size(Box(0, 0, 16, 16), False, pixels), axis=2).max() > 0
