import math

import numpy as np
import pytest

from pipeline_tasks.drawing.face import Face
from pipeline_tasks.drawing.fields import pixel_grid, rounded_box

GRID = pixel_grid(100, 2)
FACE = Face(GRID, -rounded_box(GRID, 40, 12, 2), lamp=(0, -1), grain=0)


@pytest.mark.parametrize("seed", range(5))
def test_a_line_lies_wholly_on_the_face(seed: int) -> None:
    x, y = FACE.spot(np.random.default_rng(seed), margin=3, half_length=20, angle=0.2)
    assert abs(x) + 20 * math.cos(0.2) <= 40 - 3 + 0.5
    assert abs(y) + 20 * math.sin(0.2) <= 12 - 3 + 0.5


def test_the_roomiest_spot_is_taken_where_none_has_the_room() -> None:
    x, y = FACE.spot(np.random.default_rng(0), margin=50)
    assert abs(x) < 30
    assert abs(y) < 2
