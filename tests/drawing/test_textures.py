import numpy as np
import pytest

from pipeline_tasks.drawing.fields import pixel_grid
from pipeline_tasks.drawing.textures import TEXTURES


@pytest.mark.parametrize("name", TEXTURES)
def test_a_finish_modulates_light_evenly(name: str) -> None:
    finish = TEXTURES[name](np.random.default_rng(1), pixel_grid(128, 2))
    assert finish.shape == (256, 256)
    assert finish.dtype == np.float32
    assert abs(finish.mean()) < 0.25
    assert 0.7 < finish.std() < 1.3
