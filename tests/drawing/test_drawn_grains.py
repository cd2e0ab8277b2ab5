import math

import numpy as np
import pytest

from pipeline_tasks.drawing.defect_recipes import Grain
from pipeline_tasks.drawing.fields import Field
from pipeline_tasks.drawing.grains import draw_grain, facets, noise, rough


def _step(field: Field, axis: int) -> float:
    """Return the mean change from pixel to pixel along an axis, in standard deviations."""
    return float(np.abs(np.diff(field, axis=axis)).mean() / field.std())


@pytest.mark.parametrize("kind", ["noise", "ridges", "facets"])
@pytest.mark.parametrize("cell", [1.0, 4.0])
def test_a_grain_varies_about_nothing(kind: str, cell: float) -> None:
    grain = draw_grain(np.random.default_rng(2), Grain(kind=kind, cell=(cell, cell)), 96)
    assert grain.shape == (96, 96)
    assert grain.dtype == np.float32
    assert abs(grain.mean()) < 0.45
    assert 0.5 < grain.std() < 1.6


def test_larger_cells_change_more_slowly() -> None:
    fine, coarse = (noise(np.random.default_rng(1), 96, cell) for cell in (2.0, 10.0))
    assert _step(fine, 0) > 2 * _step(coarse, 0)


@pytest.mark.parametrize(("angle", "along"), [(0.0, 1), (math.pi / 2, 0)])
def test_stretched_noise_runs_along_its_angle(angle: float, along: int) -> None:
    field = noise(np.random.default_rng(1), 96, 2.0, 8.0, angle)
    assert _step(field, 1 - along) > 2.5 * _step(field, along)


def test_rough_noise_has_small_bumps_on_large_ones() -> None:
    assert _step(rough(np.random.default_rng(1), 96, 12.0), 0) > 1.3 * _step(
        noise(np.random.default_rng(1), 96, 12.0), 0
    )


def test_a_facet_has_one_shade() -> None:
    field = facets(np.random.default_rng(1), 64, 8.0)
    assert 20 < len(np.unique(field)) <= 64
    assert np.mean(np.diff(field, axis=0) == 0) > 0.7
