from typing import Any

import numpy as np
import pytest

from pipeline_tasks.drawing.fields import Field
from pipeline_tasks.drawing.sensor import BRIGHTEST_MEAN, Sensor, draw_sensor
from pipeline_tasks.drawing.texture_recipes import CameraRecipe
from pipeline_tasks.drawing.white_noise import white_noise
from pipeline_tasks.drawing.world import load_world

IDEAL: dict[str, Any] = {
    "blur_px": 0.1,
    "sharpen": 0.0,
    "gain": 1.0,
    "curve": 0.0,
    "black": 0.0,
    "read_noise": 0.0,
    "shot_noise": 0.0,
}
FLAT = np.full((64, 64, 3), 100, np.float32)
STEP = np.concatenate([FLAT[:, :32], 2 * FLAT[:, 32:]], axis=1)


def sensor(channels: int = 3, **changes: float) -> Sensor:
    """Return an ideal camera with changes."""
    return Sensor(**{**IDEAL, **changes}, noise=white_noise(np.random.default_rng(0), (64, 64, channels)))


def recipe(**changes: object) -> CameraRecipe:
    return CameraRecipe.model_validate({**load_world().camera.model_dump(), **changes})


def test_an_ideal_camera_returns_the_light() -> None:
    light = np.random.default_rng(0).uniform(0, 255, (64, 64, 3)).astype(np.float32)
    camera = sensor()
    np.testing.assert_allclose(camera.expose(light), light, atol=1e-3)
    np.testing.assert_array_equal(camera.read_out(light), np.rint(light))


def test_a_monochrome_camera_sees_no_colour() -> None:
    red = FLAT * np.array([2.0, 0.5, 0.5], np.float32)
    camera = sensor(channels=1, read_noise=5)
    pixels = camera.read_out(camera.expose(red))
    assert pixels.shape == (64, 64, 3)
    np.testing.assert_array_equal(pixels[..., 0], pixels[..., 2])
    assert abs(pixels.mean() - 100) < 1


def test_blur_softens_and_sharpening_overshoots() -> None:
    soft, sharp = sensor(blur_px=1.5).expose(STEP), sensor(sharpen=0.6).expose(STEP)
    assert 105 < soft[32, 30, 0] < 150 < soft[32, 33, 0] < 195
    assert sharp.min() < 95
    assert sharp.max() > 205


def test_gain_black_and_curve_change_the_tones() -> None:
    assert sensor(gain=1.3).expose(FLAT)[0, 0, 0] == pytest.approx(130)
    assert sensor(black=-12).expose(FLAT)[0, 0, 0] == pytest.approx(88)
    assert sensor(curve=0.3).expose(FLAT)[0, 0, 0] > 110 > 100 > 90 > sensor(curve=-0.3).expose(FLAT)[0, 0, 0]


def test_the_tone_curve_never_falls() -> None:
    rising = np.repeat(np.linspace(0, 400, 64, dtype=np.float32)[None, :, None], 64, 0).repeat(3, 2)
    for curve in load_world().camera.curve:
        assert np.diff(sensor(curve=curve).expose(rising)[10, :, 0]).min() > 0


def test_what_is_too_bright_saturates_without_noise() -> None:
    assert sensor(read_noise=5).read_out(4 * FLAT).min() == 255


def test_noise_grows_with_light() -> None:
    camera = sensor(read_noise=2, shot_noise=0.1)
    dark, bright = (camera.read_out(level * FLAT).std() for level in (0.2, 2))
    assert 2 < dark < 3
    assert 4.2 < bright < 5.5


def long_noise(blur_px: float) -> Field:
    camera = draw_sensor(np.random.default_rng(0), recipe(monochrome=0, noise_blur=[blur_px, blur_px]), FLAT)
    return camera.noise


def test_noise_may_be_correlated_but_keeps_its_strength() -> None:
    white, soft = long_noise(0), long_noise(0.8)
    assert white.shape == soft.shape == (64, 64, 3)
    assert 0.95 < soft.std() < 1.05
    assert abs((white[:, 1:] * white[:, :-1]).mean()) < 0.05 < 0.3 < (soft[:, 1:] * soft[:, :-1]).mean()


def test_no_exposure_washes_a_window_out() -> None:
    bright = np.full((64, 64, 3), 400, np.float32)
    camera = draw_sensor(np.random.default_rng(0), recipe(gain=[1.2, 1.2]), bright)
    assert camera.gain * 400 == pytest.approx(BRIGHTEST_MEAN)


def test_cameras_differ_and_follow_from_the_seed() -> None:
    one, same, other = (draw_sensor(np.random.default_rng(seed), load_world().camera, FLAT) for seed in (1, 1, 2))
    assert one[:-1] == same[:-1] != other[:-1]
    np.testing.assert_array_equal(one.noise, same.noise)
    kinds = [draw_sensor(np.random.default_rng(s), load_world().camera, FLAT).monochrome for s in range(200)]
    assert 60 < sum(kinds) < 110
