import numpy as np
from rows import mask_row

from pipeline_tasks.backends.control_views import reference_of
from pipeline_tasks.backends.host_views import host_view
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


def seen(asked, view):
    host = host_view(asked, 32, view, 2)
    return host, reference_of(asked, host.box, 32, view)


def test_the_parent_is_seen_around_its_defect_at_the_scale_of_the_request():
    view, reference = seen(request(blob((96, 120), 70, 20, side=16), blob((90, 150), 10, 130)), "window")
    assert (view.box.height, view.box.width) == (32, 32)
    assert reference.mask.sum() == 36 and view.mask.sum() == 256
    assert (reference.pixels[:, reference.mask] < 0).all() and (reference.pixels[:, ~reference.mask] > 0).all()


def test_a_large_defect_scales_its_reference_down_with_it():
    view, reference = seen(request(blob((128, 128), 30, 30, side=51), blob((128, 128), 60, 60, side=12)), "window")
    assert view.box.height == 64 and view.mask.shape == (32, 32)
    assert reference.mask.sum() == 36


def test_whole_images_are_seen_whole():
    view, reference = seen(request(blob((64, 128), 30, 30, side=16), blob((96, 48), 60, 12, side=24)), "image")
    assert (view.box.height, view.box.width) == (64, 128)
    assert reference.mask.sum() == 8 * 16  # both squeezed by their own factors
