import numpy as np
import pytest

from pipeline_tasks.dit.attention_mask import agreement, attention_mask, changed_pixels, refine

SIDE = 64


def square(y=20, x=20, side=20):
    mask = np.zeros((SIDE, SIDE), bool)
    mask[y : y + side, x : x + side] = True
    return mask


def noise(spread=1.0):
    return np.abs(np.random.default_rng(0).normal(0, spread, (SIDE, SIDE))).astype(np.float32)


def ridler_calvard(levels):
    """The iterative method as published: the threshold moves to the middle of the two means until it stays."""
    threshold, before = float(levels.mean()), np.inf
    while abs(threshold - before) > 1e-6:
        before = threshold
        threshold = (levels[levels < before].mean() + levels[levels >= before].mean()) / 2
    return threshold


def test_the_attention_is_cut_by_the_iterative_threshold():
    attention = noise(5) + np.where(square(), 180, 20).astype(np.float32)
    assert np.array_equal(attention_mask(attention), square())
    ramp = np.linspace(0, 255, SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE) ** 1.3
    bin_width = float(np.ptp(ramp)) / 256
    cut = attention_mask(ramp)
    assert abs(ramp[cut].min() - ridler_calvard(ramp)) <= 2 * bin_width


@pytest.mark.parametrize("attention", [np.zeros((8, 8)), np.full((8, 8), 255.0), np.linspace(9, 10, 64).reshape(8, 8)])
def test_a_map_without_contrast_gives_no_mask(attention):
    assert not attention_mask(attention.astype(np.float32)).any()


def test_the_label_is_what_changed_where_attention_is():
    """Attention is too large and shifted by 2 px; elsewhere as much has changed."""
    defect, elsewhere = square(22, 22, 12), square(50, 50, 8)
    change = noise() + np.where(defect | elsewhere, 40, 0).astype(np.float32)
    assert np.array_equal(refine(square(24, 24, 24), change, dilation_px=3), defect)


def test_the_edge_of_the_label_is_at_half_of_the_defects_contrast():
    profile = np.interp(np.arange(SIDE), [16, 28, 36, 48], [0, 48, 48, 0]).astype(np.float32)
    change = np.where(square(0, 0, SIDE), profile, 0).astype(np.float32)
    label = refine(square(0, 0, SIDE), change, dilation_px=0)
    columns = np.flatnonzero(label.all(axis=0))
    assert columns.min() in range(20, 25) and columns.max() in range(40, 45) and label.any(axis=0).sum() == len(columns)


def test_an_even_defect_that_fills_the_attention_is_whole():
    change = noise() + np.where(square(), 40 + noise(3), 0).astype(np.float32)
    assert np.array_equal(refine(square(), change, dilation_px=2), square())


@pytest.mark.parametrize(
    ("attended", "level"),
    [(square(), 0.0), (square(), 2.5), (np.zeros((SIDE, SIDE), bool), 90.0), (square(44, 44, 16), 90.0)],
    ids=["nothing changed", "nothing visible changed", "no attention", "attention elsewhere"],
)
def test_without_a_visible_change_under_the_attention_there_is_no_label(attended, level):
    change = np.where(square(10, 10, 12), level, 0).astype(np.float32)
    assert not refine(attended, change, dilation_px=3).any()


def test_a_change_that_is_all_of_the_part_is_no_defect():
    assert not refine(square(), np.full((SIDE, SIDE), 80, np.float32), dilation_px=3).any()


def test_a_stronger_change_elsewhere_is_not_hidden():
    change = noise() + np.where(square(), 20, 0) + np.where(square(50, 50, 12), 200, 0)
    assert not refine(square(), change.astype(np.float32), dilation_px=3).any()


def test_specks_are_dropped_and_small_holes_filled_and_small_defects_kept():
    several = square(10, 10, 14) | square(10, 40, 6)  # 196 px and 36 px, both defects
    torn = several.copy()
    torn[12:14, 12:14] = False
    torn[40, 40] = True
    change = np.where(torn, 60, 0).astype(np.float32)
    assert np.array_equal(refine(square(0, 0, SIDE), change, dilation_px=0), several)
    pits = np.zeros((SIDE, SIDE), bool)
    pits[4::12, 4::12] = True  # all small: none is a speck of another
    assert np.array_equal(refine(square(0, 0, SIDE), np.where(pits, 60, 0).astype(np.float32), 0), pits)
    ring = square(10, 10, 20) & ~square(14, 14, 12)  # a large hole is part of the shape
    assert np.array_equal(refine(square(0, 0, SIDE), np.where(ring, 60, 0).astype(np.float32), 0), ring)


def test_agreement_is_the_iou_with_what_changed_visibly():
    change = np.where(square(20, 20, 20), 4.0, 3.9).astype(np.float32)
    assert changed_pixels(change).sum() == 400
    assert agreement(square(20, 20, 20), change) == 1
    assert agreement(square(20, 30, 20), change) == pytest.approx(1 / 3)
    assert agreement(square(50, 50, 8), change) == 0
    assert agreement(np.zeros((SIDE, SIDE), bool), np.zeros((SIDE, SIDE), np.float32)) == 0
