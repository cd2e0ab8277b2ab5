import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from pipeline_tasks.images.foreground import foreground
from pipeline_tasks.masks.perlin import SMALLEST_BLOB_PX, THRESHOLD, perlin_noise, place_noise
from pipeline_tasks.masks.shape import TOUCH_PX, Reason, Refusal, whole_shape
from pipeline_tasks.params import Perlin

PARAMS = Perlin(cells_max=5, area_min=0.002, area_max=0.03)
PARENT = whole_shape(cv2.circle(np.zeros((80, 90), np.uint8), (30, 50), 6, 1, -1).astype(bool))


def noise(x, y, seed=0):
    return perlin_noise(np.asarray(x, float), np.asarray(y, float), np.random.default_rng(seed))


def disc_object():
    return cv2.circle(np.zeros((160, 200), np.uint8), (90, 80), 60, 1, -1).astype(bool)


def attempts(on, count, params=PARAMS):
    """Return the placements that are not refused, of `count` seeds."""
    made = []
    for seed in range(count):
        try:
            made.append(place_noise(PARENT, on, params, np.random.default_rng(seed)))
        except Refusal:
            continue
    return made


def test_noise_is_zero_at_lattice_points():
    x, y = np.meshgrid(np.arange(-3, 6), np.arange(2, 9))
    assert np.abs(noise(x, y)).max() < 1e-12
    assert np.abs(noise(x + 0.5, y + 0.5)).max() > 0.1


def test_noise_stays_within_its_bound_and_uses_most_of_it():
    x, y = np.meshgrid(np.linspace(0, 40, 400), np.linspace(0, 40, 400))
    values = noise(x, y)
    assert np.abs(values).max() <= np.sqrt(0.5)
    assert values.min() < -0.5 < 0.5 < values.max()
    assert abs(values.mean()) < 0.02


def test_noise_and_its_slope_are_continuous_across_cells():
    y = np.linspace(0.05, 2.95, 50)
    step = 1e-5
    left, middle, right = noise(*np.broadcast_arrays(np.array([[1 - step], [1.0], [1 + step]]), y))
    assert np.abs(right - left).max() < 4 * step
    assert np.abs((right - middle) - (middle - left)).max() / step < 1e-3
    along = noise(np.linspace(0, 3, 3001), np.full(3001, 0.37))
    assert np.abs(np.diff(along)).max() < 3e-3


def test_noise_is_the_blend_of_its_corner_ramps():
    """At one point, by the definition: gradients dotted with the offsets, blended with the quintic fade."""
    gradients = np.exp(2j * np.pi * np.random.default_rng(5).random((2, 2)))
    u, v = 0.3, 0.8
    ramps = [[(gradients[j, i].conjugate() * complex(u - i, v - j)).real for i in (0, 1)] for j in (0, 1)]
    fade = [6 * t**5 - 15 * t**4 + 10 * t**3 for t in (u, v)]
    rows = [row[0] * (1 - fade[0]) + row[1] * fade[0] for row in ramps]
    expected = rows[0] * (1 - fade[1]) + rows[1] * fade[1]
    assert noise([u], [v], seed=5)[0] == pytest.approx(expected, abs=1e-12)


@given(st.integers(0, 10**6))
@profile(max_examples=25, deadline=None)
def test_masks_stay_on_the_object_clear_of_borders_and_in_their_area(seed):
    on = disc_object()
    try:
        placed = place_noise(PARENT, on, PARAMS, np.random.default_rng(seed))
    except Refusal:
        return
    assert not (placed.mask & ~on).any()
    assert PARAMS.area_min <= placed.mask.sum() / on.sum() <= PARAMS.area_max
    assert min(cv2.connectedComponentsWithStats(placed.mask.astype(np.uint8))[2][1:, 4]) >= SMALLEST_BLOB_PX


def test_where_the_object_fills_the_image_the_borders_stay_clear():
    made = attempts(np.ones((120, 150), bool), 60)
    assert len(made) > 20
    for placed in made:
        assert not np.pad(np.zeros(np.subtract(placed.mask.shape, 2 * TOUCH_PX), bool), TOUCH_PX, constant_values=True)[
            placed.mask
        ].any()


def test_most_attempts_succeed_and_differ():
    made = attempts(disc_object(), 60)
    assert len(made) > 30
    assert len({placed.mask.tobytes() for placed in made}) == len(made)
    pieces = {cv2.connectedComponents(placed.mask.astype(np.uint8))[0] - 1 for placed in made}
    assert min(pieces) == 1
    assert max(pieces) > 4


def test_the_warp_moves_the_parents_centroid_to_the_masks():
    for placed in attempts(disc_object(), 10):
        ys, xs = np.nonzero(placed.mask)
        assert placed.warp @ (30, 50, 1) == pytest.approx((xs.mean(), ys.mean()))
        assert (placed.warp[:, :2] == np.eye(2)).all()


def test_large_objects_get_the_same_kind_of_mask():
    small, large = (attempts(np.ones((side, side), bool), 15) for side in (300, 1000))
    assert large[0].mask.shape == (1000, 1000)
    shares = [np.median([placed.mask.mean() for placed in made]) for made in (small, large)]
    assert shares[1] == pytest.approx(shares[0], rel=0.5)


def test_an_area_that_no_blobs_give_is_refused():
    with pytest.raises(Refusal) as refused:
        place_noise(PARENT, disc_object(), Perlin(cells_max=1, area_min=0.9, area_max=0.95), np.random.default_rng(0))
    assert refused.value.reason in (Reason.AREA, Reason.EMPTY)


def test_no_object_is_refused():
    with pytest.raises(Refusal) as refused:
        place_noise(PARENT, np.zeros((50, 60), bool), PARAMS, np.random.default_rng(0))
    assert refused.value.reason == Reason.BACKGROUND


def test_masks_are_on_a_photographed_object():
    image = np.full((160, 200, 3), 20, np.uint8)
    image[disc_object()] = 170
    made = attempts(foreground(image), 20)
    assert made
    assert not any(
        (placed.mask & ~cv2.dilate(disc_object().astype(np.uint8), np.ones((3, 3))).astype(bool)).any()
        for placed in made
    )


def test_the_threshold_is_within_the_noise():
    assert 0 < THRESHOLD < np.sqrt(0.5)
