import numpy as np
import pytest

from pipeline_tasks.drawing.white_noise import white_noise


def test_noise_is_standard_normal_white_and_seeded() -> None:
    noise = white_noise(np.random.default_rng(0), (128, 128, 3))
    assert noise.shape == (128, 128, 3)
    assert noise.dtype == np.float32
    assert abs(noise.mean()) < 0.02
    assert 0.98 < noise.std() < 1.02
    assert abs((noise[:, 1:] * noise[:, :-1]).mean()) < 0.02
    np.testing.assert_array_equal(noise, white_noise(np.random.default_rng(0), (128, 128, 3)))
    assert not np.array_equal(noise, white_noise(np.random.default_rng(1), (128, 128, 3)))


def test_the_stock_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        white_noise(np.random.default_rng(0), (2, 2))[0, 0] = 1
