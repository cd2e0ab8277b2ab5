import math

import numpy as np

from pipeline_tasks.drawing.fields import Grid, mix, pixel_grid, ramp, ridge, rounded_box, smooth_noise, streak_noise


def test_pixel_grid_is_centred_and_in_px_whatever_the_sampling() -> None:
    for samples_per_px in (1, 2):
        grid = pixel_grid(8, samples_per_px)
        assert grid.x.shape == (8 * samples_per_px, 8 * samples_per_px)
        assert grid.x.mean() == grid.y.mean() == 0
        assert grid.x[0, 1] - grid.x[0, 0] == 1 / samples_per_px


def test_posed_coordinates_are_zero_at_the_centre_and_turn_clockwise() -> None:
    point = Grid(np.array([[5.0, 5.0]], np.float32), np.array([[3.0, 4.0]], np.float32))
    posed = point.posed((5, 3), math.pi / 2)
    np.testing.assert_allclose(posed.x, [[0, 1]], atol=1e-6)
    np.testing.assert_allclose(posed.y, [[0, 0]], atol=1e-6)


def test_ramp_runs_either_way_and_stays_in_range() -> None:
    values = np.array([-1, 0, 0.5, 1, 2], np.float32)
    np.testing.assert_allclose(ramp(values, 0, 1), [0, 0, 0.5, 1, 1])
    np.testing.assert_allclose(ramp(values, 1, 0), [1, 1, 0.5, 0, 0])


def test_ridge_and_mix_meet_their_ends() -> None:
    values = np.array([0, 3, 30], np.float32)
    np.testing.assert_allclose(ridge(values, 3, 1), [math.exp(-4.5), 1, 0], atol=1e-6)
    np.testing.assert_allclose(mix(values, 10.0, np.array([0, 1, 0.5], np.float32)), [0, 10, 20])


def test_rounded_box_is_a_signed_distance() -> None:
    points = Grid(np.array([[0, 25, 20]], np.float32), np.array([[0, 0, 10]], np.float32))
    corner = 5 * math.sqrt(2) - 5
    np.testing.assert_allclose(rounded_box(points, 20, 10, 5), [[-10, 5, corner]], rtol=1e-5)


def test_noise_is_bounded_smooth_and_seeded() -> None:
    grid = pixel_grid(64, 1)
    noise = smooth_noise(np.random.default_rng(0), grid, 16)
    assert np.abs(noise).max() < 1.6
    assert np.abs(np.diff(noise)).max() < 0.25 < noise.std()
    np.testing.assert_array_equal(noise, smooth_noise(np.random.default_rng(0), grid, 16))


def test_streaks_run_along_x() -> None:
    streaks = streak_noise(np.random.default_rng(0), pixel_grid(128, 1), length_px=40, width_px=1)
    assert 0.8 < streaks.std() < 1.2
    assert np.abs(np.diff(streaks, axis=1)).mean() < 0.3 * np.abs(np.diff(streaks, axis=0)).mean()
