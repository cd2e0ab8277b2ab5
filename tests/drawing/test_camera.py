import numpy as np

from pipeline_tasks.drawing.camera import expose, read_out


def test_expose_reduces_to_image_size_and_keeps_the_light() -> None:
    light = np.zeros((40, 40, 3), np.float32)
    light[18:22, 18:22] = 100
    image = expose(light, 2)
    assert image.shape == (20, 20, 3)
    np.testing.assert_allclose(image.sum() * 4, light.sum(), rtol=1e-3)
    assert 0 < image[10, 12, 0] < image[10, 10, 0]


def test_noise_grows_with_light_and_values_stay_in_range() -> None:
    noise = np.random.default_rng(0).standard_normal((64, 64, 3), np.float32)
    dark, bright = (read_out(np.full_like(noise, level), noise) for level in (20, 200))
    assert dark.dtype == np.uint8
    assert 1 < dark.std() < bright.std() < 4
    assert read_out(np.full_like(noise, 300), noise).min() == 255
