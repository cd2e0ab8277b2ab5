import numpy as np
import pytest

from pipeline_tasks.drawing.defects import DEFECTS, SEVERITIES
from pipeline_tasks.drawing.face import Face
from pipeline_tasks.drawing.fields import Field, pixel_grid

GRID = pixel_grid(160, 1)
FACE = Face(GRID, np.full_like(GRID.x, 100), lamp=(0, -1), grain=0)


def drawn(defect: str, seed: int, severity: int) -> Field:
    return DEFECTS[defect](np.random.default_rng(seed), FACE, SEVERITIES[severity])


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_local_and_leaves_some_light(defect: str) -> None:
    change = drawn(defect, seed=3, severity=2)
    assert change.shape == (160, 160, 3)
    assert change.dtype == np.float32
    assert change.min() > -1.2
    assert 0 < (np.abs(change).max(axis=2) > 0.02).mean() < 0.15


@pytest.mark.parametrize("defect", DEFECTS)
def test_severities_grow_in_size_and_in_contrast(defect: str) -> None:
    changes = [np.stack([np.abs(drawn(defect, seed, level)).max(axis=2) for seed in range(6)]) for level in range(3)]
    areas = [(change > 0.03).mean() for change in changes]
    peaks = [change.max(axis=(1, 2)).mean() for change in changes]
    assert areas[0] < areas[1] < areas[2]
    assert peaks[0] < peaks[1] < peaks[2]


def test_a_scratch_has_a_bright_and_a_dark_edge() -> None:
    change = drawn("scratch", seed=0, severity=1)
    assert change.max() > 0.3
    assert change.min() < -0.2


def test_a_pit_is_dark_and_its_rim_shines_away_from_the_lamp() -> None:
    change = drawn("pit", seed=1, severity=2)[..., 0]
    assert change.min() < -0.8
    assert change.max() > 0.2
    bright, dark = (np.average(GRID.y, weights=np.maximum(sign * change, 0) ** 2) for sign in (1, -1))
    assert bright > dark  # the lamp is at the top


def test_a_stain_takes_light_and_tints() -> None:
    change = drawn("stain", seed=0, severity=1)
    assert change.max() < 0.05
    taken = -change.sum(axis=(0, 1))
    assert abs(taken[0] - taken[2]) > 0.1 * taken.max()
