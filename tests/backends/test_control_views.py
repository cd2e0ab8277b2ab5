import numpy as np
import pytest
from rows import mask_row

from pipeline_tasks.backends.control_views import control_view, latent_cells
from pipeline_tasks.backends.protocol import RealDefect, Request


def request(mask, parent_mask):
    normal = np.full((*mask.shape, 3), 100, np.uint8)
    parent = np.full((*parent_mask.shape, 3), 200, np.uint8)
    parent[parent_mask] = 20
    real = RealDefect(parent, parent_mask)
    return Request(mask_row(0, mask), normal, mask, "a pit", real, real, seed=1)


def blob(shape, y, x, side=6):
    mask = np.zeros(shape, bool)
    mask[y : y + side, x : x + side] = True
    return mask


def test_the_parent_is_seen_around_its_defect_at_the_scale_of_the_request():
    view = control_view(request(blob((96, 120), 70, 20, side=16), blob((90, 150), 10, 130)), 32, "window", 2)
    assert (view.box.height, view.box.width) == (32, 32)
    assert view.reference_mask.sum() == 36 and view.mask.sum() == 256
    assert (view.reference[:, view.reference_mask] < 0).all() and (view.reference[:, ~view.reference_mask] > 0).all()


def test_a_large_defect_scales_its_reference_down_with_it():
    view = control_view(request(blob((128, 128), 30, 30, side=51), blob((128, 128), 60, 60, side=12)), 32, "window", 2)
    assert view.box.height == 64 and view.mask.shape == (32, 32)
    assert view.reference_mask.sum() == 36


def test_whole_images_are_seen_whole():
    view = control_view(request(blob((64, 128), 30, 30, side=16), blob((96, 48), 60, 12, side=24)), 32, "image", 2)
    assert (view.box.height, view.box.width) == (64, 128)
    assert view.reference_mask.sum() == 8 * 16  # both squeezed by their own factors


def test_the_hole_is_the_mask_and_what_may_change_around_it():
    view = control_view(request(blob((64, 64), 30, 30), blob((64, 64), 30, 30)), 64, "window", 2)
    assert view.hole[28:38, 33].all() and view.hole.sum(axis=0).max() == 10
    assert not (view.mask & ~view.hole).any()


@pytest.mark.parametrize(("channel", "grey"), [(100, True), (101, False)])
def test_grey_is_told_from_colour(channel, grey):
    asked = request(blob((64, 64), 30, 30), blob((64, 64), 30, 30))
    asked.normal[5, 5, 1] = channel
    assert control_view(asked, 32, "window", 2).grey is grey


def test_a_cell_is_masked_where_a_single_pixel_is():
    mask = np.zeros((16, 8), bool)
    mask[9, 3] = True
    assert np.argwhere(latent_cells(mask, 4)).tolist() == [[2, 0]]
