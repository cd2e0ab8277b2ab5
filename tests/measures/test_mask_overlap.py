import numpy as np
import pytest

from pipeline_tasks.measures.mask_overlap import LARGEST_SIDE_PX, mask_iou, nearest_mask_iou


def box(top, left, height, width, shape=(100, 140)):
    mask = np.zeros(shape, bool)
    mask[top : top + height, left : left + width] = True
    return mask


def test_iou_is_the_shared_part_of_the_union():
    one, other = box(0, 0, 10, 10), box(0, 5, 10, 10)
    assert mask_iou(one, other) == pytest.approx(50 / 150)
    assert mask_iou(one, one) == 1
    assert mask_iou(one, box(50, 50, 3, 3)) == 0
    assert mask_iou(box(0, 0, 0, 0), box(0, 0, 0, 0)) == 1


def test_a_moved_copy_overlaps_wholly():
    known = [box(10, 10, 20, 30), box(5, 5, 40, 8)]
    assert nearest_mask_iou([box(60, 90, 20, 30), box(50, 100, 40, 8)], known) == pytest.approx(1)


def test_the_nearest_known_mask_counts():
    known = [box(10, 10, 21, 21), box(5, 5, 41, 9)]
    found = nearest_mask_iou([box(60, 90, 21, 11), box(50, 60, 41, 9)], known)
    assert found == pytest.approx((11 / 21 + 1) / 2)


def test_a_mask_is_not_cut_off_at_the_image():
    known = [box(0, 0, 30, 30, (30, 30))]
    assert nearest_mask_iou([box(50, 50, 30, 30, (300, 300))], known) == pytest.approx(1)


def test_large_masks_are_compared_at_a_smaller_scale():
    shape = (800, 900)
    side = 5 * LARGEST_SIDE_PX
    crack = np.zeros(shape, bool)
    crack[np.arange(side), np.arange(side)] = True
    assert nearest_mask_iou([np.roll(crack, (100, 150), (0, 1))], [crack]) == pytest.approx(1)
    half = nearest_mask_iou([box(0, 0, side, side // 2, shape)], [box(100, 200, side, side, shape)])
    assert half == pytest.approx(0.5, abs=0.02)
    assert nearest_mask_iou([crack[:, ::-1]], [crack]) < 0.1


def test_without_masks_there_is_no_overlap():
    assert nearest_mask_iou([], [box(0, 0, 2, 2)]) is None
    assert nearest_mask_iou([box(0, 0, 2, 2)], []) is None
