import cv2
import numpy as np
import pytest

from pipeline_tasks.inpainting.appearance import PLANES
from pipeline_tasks.inpainting.source import Grain, measure_grain, start


def textures(rng, count=24):
    """Streaks along x, nearly equal in all channels, of deviation 0.5, under a strong shading."""
    ramp = np.linspace(-5, 5, 64, dtype=np.float32)[None, :, None]
    for _ in range(count):
        streaks = cv2.GaussianBlur(rng.standard_normal((64, 64), dtype=np.float32), (0, 0), sigmaX=3, sigmaY=0.5)
        grey = 0.5 * streaks / streaks.std()
        yield ramp + grey[..., None] + 0.05 * rng.standard_normal((64, 64, 3), dtype=np.float32)


def along(noise, axis):
    """Correlation of neighbours along `axis`."""
    first, second = (np.take(noise, range(*r), axis=axis).ravel() for r in ((0, 63), (1, 64)))
    return np.corrcoef(first, second)[0, 1]


def test_noise_has_the_measured_grain_without_the_shading():
    rng = np.random.default_rng(0)
    windows = list(textures(rng))
    grain = measure_grain(windows)
    noise = np.stack([grain.noise(64, 64, rng) for _ in range(24)])
    assert noise.std() == pytest.approx(1, abs=0.1)
    assert np.corrcoef(noise[..., 0].ravel(), noise[..., 2].ravel())[0, 1] > 0.9
    assert along(noise[..., 1], axis=2) > 0.8 > 0.6 > along(noise[..., 1], axis=1)
    assert grain.deviation == pytest.approx(0.5, rel=0.25)
    assert abs(noise[:, :, :8].mean() - noise[:, :, -8:].mean()) < 0.3  # the ramp is not grain


def test_noise_is_the_same_for_a_seed_and_survives_json():
    grain = measure_grain(list(textures(np.random.default_rng(1), 4)))
    again = Grain.from_json(grain.to_json())
    first, second = (g.noise(20, 30, np.random.default_rng(2)) for g in (grain, again))
    assert first.shape == (20, 30, 3) and np.array_equal(first, second)


def test_flat_windows_have_a_grain_too():
    grain = measure_grain([np.zeros((64, 64, 3), np.float32)] * 3)
    assert np.isfinite(grain.noise(8, 8, np.random.default_rng(0))).all() and 0 < grain.deviation < 0.01


def test_start_has_the_looks_colour_and_roughness_inside_and_rest_outside():
    noise = np.random.default_rng(0).standard_normal((40, 40, 3)).astype(np.float32)
    look = np.zeros((40, 40, PLANES), np.float32)
    look[:10], look[10:20] = [-2, -2, -1, 0.06, 0.08, 9, 0], [-2, -2, -1, 9, 9, 0, 1]
    begun = start(noise, look, rest=0.5)
    np.testing.assert_allclose(begun[:20].reshape(-1, 3).mean(axis=0), [-2, -2, -1], atol=0.1)
    np.testing.assert_allclose(begun[:10].reshape(-1, 3).std(axis=0), 0.1, rtol=0.15)  # fine and middle together
    np.testing.assert_allclose(begun[10:20].reshape(-1, 3).std(axis=0), 0.5, rtol=0.15)  # never more than rest
    np.testing.assert_allclose(begun[20:], 0.5 * noise[20:])


def test_without_a_look_the_start_is_the_products_grain_everywhere():
    noise = np.random.default_rng(0).standard_normal((8, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(start(noise, np.zeros((8, 8, PLANES), np.float32), rest=0.5), 0.5 * noise)
