import numpy as np
import pytest

from pipeline_tasks.images.honesty import VISIBLE_LEVELS, alignment, change_between, label_iou, spill

MASK = np.zeros((20, 30), bool)
MASK[5:9, 10:20] = True


def test_change_is_the_mean_over_the_channels():
    before, after = np.zeros((2, 2, 3), np.float32), np.zeros((2, 2, 3), np.float32)
    after[0, 1] = (30, -6, 0)
    assert change_between(after, before).tolist() == [[0, 12], [0, 0]]
    assert change_between(before, after).tolist() == [[0, 12], [0, 0]]


def test_alignment_by_hand():
    """From the largest change down, the mask's pixels come first, third and fourth of six."""
    change = np.float32([[6, 5, 4], [3, 2, 1]])
    mask = np.array([[True, False, True], [True, False, False]])
    precision, chance = (1 / 1 + 2 / 3 + 3 / 4) / 3, 3 / 6
    assert alignment(change, mask) == pytest.approx((precision - chance) / (1 - chance))


def test_alignment_does_not_depend_on_the_strength_of_the_change():
    change = np.random.default_rng(0).random(MASK.shape, np.float32) + MASK
    assert 0 < alignment(change, MASK) == pytest.approx(alignment(change * 20, MASK))


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.9, 1.0])
def test_a_change_of_a_part_of_the_mask_alone_aligns_by_that_part(share):
    change, (ys, xs) = np.zeros(MASK.shape, np.float32), np.nonzero(MASK)
    changed = np.s_[: round(share * MASK.sum())]
    change[ys[changed], xs[changed]] = 50
    assert alignment(change, MASK) == pytest.approx(share)


def test_the_exact_change_is_perfect_and_one_elsewhere_is_nothing():
    assert alignment(MASK * np.float32(9), MASK) == 1
    assert alignment(~MASK * np.float32(9), MASK) == 0


def test_chance_is_nothing():
    rng = np.random.default_rng(0)
    mask = np.zeros((100, 100), bool)
    mask[:30] = True
    found = [alignment(rng.random(mask.shape, np.float32), mask) for _ in range(20)]
    assert np.mean(found) < 0.02
    assert alignment(np.full(mask.shape, 7, np.float32), mask) == 0, "one level everywhere tells nothing"


@pytest.mark.parametrize("mask", [np.zeros((4, 5), bool), np.ones((4, 5), bool)])
def test_without_a_mask_or_without_a_background_nothing_can_be_told(mask):
    assert alignment(np.random.default_rng(0).random((4, 5), np.float32), mask) == 0


def test_spill_is_the_share_of_the_change_that_lies_outside():
    change = np.float32([[30, 10], [3, 40]])
    near = np.array([[True, False], [True, True]])
    assert spill(change, near) == pytest.approx(1 / 8)
    assert spill(change, ~near) == pytest.approx(7 / 8)
    assert spill(np.zeros((2, 2), np.float32), near) == 0


def test_alignment_is_the_average_precision():
    from sklearn.metrics import average_precision_score

    rng = np.random.default_rng(4)
    change = rng.gamma(2, 3, MASK.shape).astype(np.float32) + 6 * MASK
    share, precision = MASK.mean(), average_precision_score(MASK.ravel(), change.ravel())
    assert alignment(change, MASK) == pytest.approx((precision - share) / (1 - share), abs=0.002)


def test_the_label_is_the_mask_where_just_that_changed():
    assert label_iou(MASK * np.float32(50), MASK) == 1
    assert label_iou(MASK * np.float32(50), np.roll(MASK, 5, axis=1)) == pytest.approx(1 / 3)
    assert label_iou(MASK * np.float32(50), ~MASK) == 0
    assert label_iou(np.full(MASK.shape, 50, np.float32), MASK) == pytest.approx(MASK.mean())


def test_what_nobody_sees_is_no_change():
    assert label_iou(MASK * np.float32(VISIBLE_LEVELS * 0.9), MASK) == 0
    assert (
        label_iou(np.zeros(MASK.shape, np.float32), MASK) == label_iou(np.zeros((2, 2), np.float32), MASK[:2, :2]) == 0
    )


def test_a_faint_rim_and_drift_do_not_count_beside_a_strong_change():
    drift = np.random.default_rng(0).uniform(0, 8, MASK.shape).astype(np.float32)
    assert label_iou(np.where(MASK, 60, drift).astype(np.float32), MASK) == 1


@pytest.mark.parametrize("level", [255.0, 700.0])
def test_paint_beyond_white_counts_as_change(level):
    assert label_iou(MASK * np.float32(level), MASK) == 1
