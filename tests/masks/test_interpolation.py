import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.morphology import skeletonize

from pipeline_tasks.masks.components import RealMask
from pipeline_tasks.masks.interpolation import interpolate
from pipeline_tasks.masks.shape import Reason, Refusal, count_pieces

SIZE = (160, 220)


def blank():
    return np.zeros(SIZE, np.uint8)


def disc(x, y, radius):
    return RealMask(cv2.circle(blank(), (x, y), radius, 1, -1).astype(bool))


def bar(degrees, length=90, width=5, centre=(110, 80)):
    half = np.exp(1j * np.radians(degrees)) * length / 2
    ends = [(round(centre[0] + s * half.real), round(centre[1] + s * half.imag)) for s in (-1, 1)]
    return RealMask(cv2.line(blank(), *ends, 1, width).astype(bool))


def crack(seed, width=3, branches=True, x0=20, x1=200):
    """A jagged line across the image, with a branch that joins it twice and one that ends freely."""
    rng = np.random.default_rng(seed)
    xs = np.linspace(x0, x1, 12).astype(int)
    ys = 80 + np.cumsum(rng.integers(-9, 10, 12))
    canvas = cv2.polylines(blank(), [np.stack([xs, ys], axis=1).astype(np.int32)], False, 1, width)
    if branches:
        loop = np.array([(xs[3], ys[3]), (xs[5], ys[5] - 25), (xs[7], ys[7])], np.int32)
        cv2.polylines(canvas, [loop], False, 1, width)
        cv2.line(canvas, (int(xs[8]), int(ys[8])), (int(xs[9]), int(ys[9]) + 30), 1, width)
    return RealMask(canvas.astype(bool))


def mean_width(mask):
    padded = np.pad(mask, 1).astype(np.uint8)
    return 2 * cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[skeletonize(padded)].mean() - 1


def angle_modulo_180(shape):
    centred = shape.points - shape.points.mean(axis=0)
    x, y = np.linalg.svd(centred, full_matrices=False)[2][0]
    return np.degrees(np.arctan2(y, x)) % 180


def test_ends_are_exactly_the_parents():
    a, b = crack(0), disc(60, 60, 12)
    for alpha, parent in ((0, a), (1, b)):
        shape = interpolate(a, b, alpha)
        assert (shape.mask == parent.mask).all()
        assert shape.corner == (0, 0)


def test_barely_moved_is_nearly_the_first_parent():
    for a in (crack(0), disc(60, 60, 12)):
        shape = interpolate(a, crack(1), 1e-6)
        again = np.zeros(SIZE, bool)
        xs, ys = shape.points.astype(int).T
        again[ys, xs] = True
        assert (again == a.mask).mean() > 0.999


def test_midway_between_discs_is_the_disc_of_mean_radius_where_the_first_was():
    shape = interpolate(disc(60, 60, 10), disc(150, 90, 20), 0.5)
    assert shape.area_px == pytest.approx(np.pi * 15.5**2, rel=0.08)
    assert np.abs(shape.points.mean(axis=0) - (60, 60)).max() < 1
    assert np.ptp(shape.points, axis=0).tolist() == pytest.approx([30, 30], abs=1)


@pytest.mark.parametrize(("a", "b", "middle"), [(0, 60, 30), (20, 100, 60), (170, 20, 5), (100, 60, 80), (175, 185, 0)])
def test_midway_between_bars_is_the_bar_at_the_middle_angle_modulo_180(a, b, middle):
    parents = bar(a), bar(b)
    shape = interpolate(*parents, 0.5)
    difference = (angle_modulo_180(shape) - middle + 90) % 180 - 90
    assert abs(difference) < 3
    assert shape.area_px == pytest.approx(np.mean([p.mask.sum() for p in parents]), rel=0.1)
    assert np.linalg.norm(np.ptp(shape.points, axis=0)) == pytest.approx(95, abs=8)


def test_length_and_width_lie_between_the_parents():
    shape = interpolate(bar(0, length=60, width=3), bar(0, length=120, width=9), 0.5)
    assert 70 < np.ptp(shape.points[:, 0]) < 110
    assert 5.5 < mean_width(shape.mask) < 8.5


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), alpha=st.floats(0.05, 0.5), width=st.integers(2, 7))
def test_branched_crack_stays_connected_and_thin(seed, alpha, width):
    a, b = crack(seed, width=3), crack(seed + 1, width=width, branches=False)
    shape = interpolate(a, b, alpha)
    assert count_pieces(shape.mask) == 1
    widths = [mean_width(a.mask), mean_width(b.mask)]
    assert min(widths) - 1 <= mean_width(shape.mask) <= max(widths) + 1


def test_interrupted_crack_keeps_its_gap_and_its_course():
    a = crack(0, branches=False)
    a.mask[:, 108:112] = False
    shape = interpolate(RealMask(a.mask), bar(30, length=150), 0.4)
    assert count_pieces(shape.mask) == 2
    assert count_pieces(cv2.dilate(shape.mask.astype(np.uint8), np.ones((9, 9))).astype(bool)) == 1


def test_components_are_matched_by_place_not_by_size():
    left, right = cv2.circle(blank(), (40, 80), 8, 1, -1), cv2.circle(blank(), (180, 80), 12, 1, -1)
    swapped_left, swapped_right = cv2.circle(blank(), (40, 80), 12, 1, -1), cv2.circle(blank(), (180, 80), 8, 1, -1)
    shape = interpolate(RealMask((left | right) > 0), RealMask((swapped_left | swapped_right) > 0), 0.5)
    assert count_pieces(shape.mask) == 2
    assert np.ptp(shape.points[:, 0]) == pytest.approx(160, abs=5)


def test_components_keep_the_mean_of_the_parents_arrangements():
    wide, close = (
        cv2.circle(blank(), (x, 80), 8, 1, -1) | cv2.circle(blank(), (220 - x, 80), 8, 1, -1) for x in (40, 80)
    )
    shape = interpolate(RealMask(wide > 0), RealMask(close > 0), 0.5)
    assert np.ptp(shape.points[:, 0]) == pytest.approx(100 + 16, abs=2)


def test_component_without_a_match_stays():
    two = RealMask((cv2.circle(blank(), (40, 80), 8, 1, -1) | cv2.circle(blank(), (180, 80), 8, 1, -1)) > 0)
    assert count_pieces(interpolate(two, disc(100, 80, 9), 0.3).mask) == 2


@pytest.mark.parametrize("alpha", [0.1, 0.3, 0.5])
def test_crack_that_runs_out_of_the_image_still_does(alpha):
    a = crack(3, branches=False, x0=0, x1=150)
    shape = interpolate(a, bar(40, length=110), alpha)
    assert shape.sides == {(0, 0)}
    assert shape.points[:, 0].min() == 0
    assert len(shape.cuts[0, 0]) >= 2


def test_crack_across_the_image_still_spans_it():
    shape = interpolate(crack(3, x0=0, x1=SIZE[1] - 1), crack(4, branches=False), 0.3)
    assert shape.points[:, 0].min() == 0
    assert shape.points[:, 0].max() == SIZE[1] - 1


def test_spanning_shape_that_would_have_to_be_stretched_is_refused():
    with pytest.raises(Refusal) as refusal:
        interpolate(crack(3, x0=0, x1=SIZE[1] - 1, branches=False), bar(0, length=20), 0.5)
    assert refusal.value.reason == Reason.SHORT


def test_zigzags_that_cancel_out_are_refused_for_their_area():
    xs = np.arange(30, 200, 12)
    up, down = (
        cv2.polylines(
            blank(), [np.stack([xs, 80 + sign * 40 * (-1) ** np.arange(len(xs))], axis=1).astype(np.int32)], False, 1, 3
        )
        for sign in (1, -1)
    )
    with pytest.raises(Refusal) as refusal:
        interpolate(RealMask(up > 0), RealMask(down > 0), 0.5)
    assert refusal.value.reason == Reason.AREA


def test_crack_cut_in_two_by_the_border_is_refused():
    flat, steep = (
        RealMask(cv2.polylines(blank(), [np.array(corners, np.int32)], False, 1, 3) > 0)
        for corners in ([(30, 0), (60, 90), (90, 4), (120, 90)], [(30, 60), (60, 150), (90, 5), (120, 150)])
    )
    with pytest.raises(Refusal) as refusal:
        interpolate(flat, steep, 0.5)
    assert refusal.value.reason == Reason.FRAGMENTED
