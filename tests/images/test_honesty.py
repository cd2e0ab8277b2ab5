import numpy as np
import pytest

from pipeline_tasks.images.honesty import alignment, change_between, spill

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
