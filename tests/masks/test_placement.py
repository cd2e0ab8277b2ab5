from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_tasks.images.composite import dilate
from pipeline_tasks.masks.placement import Seen, draw, place, see
from pipeline_tasks.masks.shape import Reason, Refusal, count_pieces, touched_sides, whole_shape
from pipeline_tasks.params import load_params

SIZE = (120, 160)
PARAMS = load_params(Path(__file__).parents[2] / "params.yaml").masks


def knobs(**changes):
    return PARAMS.model_copy(update=changes)


STILL = knobs(rotation_degrees=0.0, scale_min=1.0, scale_max=1.0, flip=False, placement_spread=0.0)


def everywhere(height=SIZE[0], width=SIZE[1]):
    return np.ones((height, width), bool)


def disc(x, y, radius=8):
    return whole_shape(cv2.circle(np.zeros(SIZE, np.uint8), (x, y), radius, 1, -1).astype(bool))


def line(start, end, width=5):
    return whole_shape(cv2.line(np.zeros(SIZE, np.uint8), start, end, 1, width).astype(bool))


def plate_with_a_hole():
    on = np.zeros((150, 200), np.uint8)
    cv2.rectangle(on, (20, 30), (180, 130), 1, -1)
    return cv2.circle(on, (100, 80), 25, 0, -1).astype(bool)


def accepted(shape, on, seen, params, seed, tries=200):
    rng = np.random.default_rng(seed)
    for _ in range(tries):
        try:
            return place(shape, on, seen, params, rng)
        except Refusal:
            continue
    pytest.fail("no placement accepted")


def centre(mask):
    ys, xs = np.nonzero(mask)
    return np.array([xs.mean(), ys.mean()])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), radius=st.integers(5, 57))  # from 58 on the disc runs out of the lower border
def test_a_foreign_shape_is_scaled_to_fit_the_object_and_never_up(seed, radius):
    on = np.zeros(SIZE, bool)
    on[20:80, 30:130] = True
    shape = disc(80, 60, radius)
    placed = place(shape, on, [Seen(shape.sides, (0.5, 0.5))], STILL, np.random.default_rng(seed), foreign=True)
    expected = min(1.0, 0.9 * 59 / (2 * radius))
    assert placed.warp[:, :2] == pytest.approx(expected * np.eye(2))
    assert not (placed.mask & ~on).any()


def test_a_foreign_shape_that_spans_the_image_is_fitted_across_only():
    shape = line((0, 60), (159, 60))
    seen = [Seen(shape.sides, (0.5, 0.5))]
    placed = place(shape, everywhere(90, 120), seen, STILL, np.random.default_rng(0), foreign=True)
    assert placed.warp[:, :2] == pytest.approx(np.eye(2))
    assert touched_sides(placed.mask, 1) == shape.sides


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), spread=st.floats(0.05, 1), x=st.integers(20, 40), y=st.integers(20, 100))
def test_defect_lands_on_the_object_and_off_the_border(seed, spread, x, y):
    shape, on = disc(x, y), plate_with_a_hole()
    placed = accepted(shape, on, [see(shape, everywhere())], knobs(placement_spread=spread), seed)
    assert placed.mask.any()
    assert not (placed.mask & ~on).any()
    assert touched_sides(placed.mask, 1) == frozenset()


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_mask_is_the_warped_parent(seed):
    shape = line((40, 40), (90, 70), 7)
    placed = accepted(shape, everywhere(140, 150), [see(shape, everywhere())], PARAMS, seed)
    grey = cv2.warpAffine(shape.mask.astype(np.uint8) * 255, placed.warp, (150, 140), flags=cv2.INTER_LINEAR)
    assert ((grey > 127) == placed.mask).all()


def test_without_spread_and_jitter_a_defect_lands_where_it_was_seen():
    shape, on = disc(110, 40), np.zeros(SIZE, bool)
    on[10:100, 20:150] = True
    placed = place(shape, on, [see(shape, on)], STILL, np.random.default_rng(0))
    assert np.abs(centre(placed.mask) - (110, 40)).max() < 1


def test_place_is_relative_to_the_object():
    seen_on, on = np.zeros(SIZE, bool), np.zeros((300, 300), bool)
    seen_on[20:100, 20:120] = True
    on[50:210, 60:260] = True
    shape = disc(115, 25, 4)
    placed = place(shape, on, [see(shape, seen_on)], STILL, np.random.default_rng(0))
    assert np.abs(centre(placed.mask) - (255, 55)).max() < 2


def test_spread_takes_defects_away_from_where_they_were_seen():
    shape = disc(30, 30)
    seen = [see(shape, everywhere())]

    def spread_of(value):
        placed = [accepted(shape, everywhere(), seen, knobs(placement_spread=value), seed) for seed in range(60)]
        return np.std([centre(p.mask) for p in placed], axis=0)

    narrow, wide = spread_of(0.1), spread_of(1.0)
    assert (wide > 3 * narrow).all()
    assert (wide > 0.2 * np.array([130, 90])).all()


def test_every_seen_place_is_used():
    places = [see(disc(30, 30), everywhere()), see(disc(130, 90), everywhere())]
    rng = np.random.default_rng(0)
    xs = [centre(place(disc(80, 60), everywhere(), places, STILL, rng).mask)[0] for _ in range(20)]
    assert {round(x / 10) for x in xs} == {3, 13}


def test_seen_places_of_the_same_borders_are_preferred():
    cut = line((60, 0), (60, 40))
    seen = [see(cut, everywhere()), Seen(frozenset(), (0.95, 0.5))]
    rng = np.random.default_rng(0)
    assert all(abs(centre(place(cut, everywhere(), seen, STILL, rng).mask)[0] - 60) < 2 for _ in range(10))


@pytest.mark.parametrize(
    ("start", "end", "side"),
    [
        ((60, 0), (70, 50), (1, 0)),
        ((60, 119), (70, 70), (1, 1)),
        ((0, 60), (50, 65), (0, 0)),
        ((159, 60), (100, 65), (0, 1)),
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_crack_runs_out_of_the_same_border_with_its_whole_end(start, end, side, seed):
    shape = line(start, end)
    assert shape.sides == {side}
    placed = accepted(shape, everywhere(140, 130), [see(shape, everywhere())], PARAMS, seed)
    assert touched_sides(placed.mask, 1) == {side}
    axis, last = side[0], (130, 140)[side[0]] - 1
    cut = np.column_stack([shape.cuts[side], np.ones(len(shape.cuts[side]))]) @ placed.warp.T
    assert (cut[:, axis] >= last - 1e-6 if side[1] else cut[:, axis] <= 1e-6).all()


def test_crack_across_the_image_spans_the_host():
    shape = line((0, 60), (159, 70))
    placed = accepted(shape, everywhere(120, 150), [see(shape, everywhere())], PARAMS, 0)
    assert touched_sides(placed.mask, 1) == {(0, 0), (0, 1)}


def refused(shape, on, params=STILL):
    with pytest.raises(Refusal) as refusal:
        place(shape, on, [see(shape, everywhere())], params, np.random.default_rng(0))
    return refusal.value.reason


def test_each_impossible_place_is_refused_for_its_reason():
    assert refused(disc(80, 60, 40), everywhere(60, 60)) == Reason.TOO_LARGE
    assert refused(line((0, 60), (159, 60)), everywhere(120, 300)) == Reason.SHORT
    assert refused(line((60, 0), (60, 100)), everywhere(50, 160)) == Reason.CLIPPED
    assert refused(line((60, 0), (60, 80)), everywhere(70, 160)) == Reason.OVERFLOW
    assert refused(disc(100, 75), plate_with_a_hole()) == Reason.BACKGROUND
    assert refused(disc(100, 75), np.zeros(SIZE, bool)) == Reason.BACKGROUND
    assert refused(disc(80, 60, 0), everywhere(), knobs(scale_min=0.05, scale_max=0.05)) == Reason.EMPTY


def test_only_flips_that_keep_a_crack_at_its_border_are_tried():
    shape, params = line((60, 0), (90, 50)), STILL.model_copy(update={"flip": True})
    rng = np.random.default_rng(0)
    warps = [place(shape, everywhere(), [see(shape, everywhere())], params, rng).warp for _ in range(20)]
    signs = np.sign([np.diag(warp[:, :2]) for warp in warps])
    assert set(signs[:, 0]) == {-1, 1}
    assert set(signs[:, 1]) == {1}


def test_border_does_not_cut_a_crack_in_two():
    corners = np.array([(20, 0), (50, 60), (80, 8), (110, 60)], np.int32)
    shape = whole_shape(cv2.polylines(np.zeros(SIZE, np.uint8), [corners], False, 1, 3).astype(bool))
    params = STILL.model_copy(update={"placement_spread": 1.0})
    for seed in range(20):
        placed = accepted(shape, everywhere(), [see(shape, everywhere())], params, seed)
        assert count_pieces(dilate(placed.mask, 1)) == 1


def test_drawing_takes_the_corner_into_account():
    shape = disc(80, 60)
    cropped = type(shape)(shape.mask[40:90, 60:110], (60, 40), shape.size, shape.sides)
    warp = np.array([[0.9, 0.2, 5.0], [-0.2, 0.9, 12.0]])
    assert (draw(shape, warp, (160, 120)).mask == draw(cropped, warp, (160, 120)).mask).mean() > 0.999
