import math

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import TypeAdapter

from pipeline_tasks.drawing.fields import Field, pixel_grid
from pipeline_tasks.drawing.layers import LAYERS, bumps, draw_layer
from pipeline_tasks.drawing.texture_recipes import Layer, TextureRecipe
from pipeline_tasks.drawing.world import load_world

GRID = pixel_grid(96, 1)
LAYER = TypeAdapter[Layer](Layer)


def drawn(kind: str, seed: int = 0, zoom: float = 1, **ranges: object) -> Field:
    layer = LAYER.validate_python({"kind": kind, "weight": [1, 1], **ranges})
    return draw_layer(np.random.default_rng(seed), GRID, layer, zoom)


def strongest_period(profile: NDArray[np.float32]) -> float:
    power = np.abs(np.fft.rfft(profile - profile.mean(), 1920)) ** 2
    return 1920 / int(power.argmax())


@pytest.mark.parametrize("texture", load_world().textures.items(), ids=lambda item: item[0])
def test_layers_are_finite_and_of_about_unit_strength(texture: tuple[str, TextureRecipe]) -> None:
    for layer in texture[1].layers:
        for seed in range(5):
            field = draw_layer(np.random.default_rng(seed), GRID.posed((70, -90), 0.7), layer, (0.5, 3)[seed % 2])
            assert field.shape == (96, 96)
            assert field.dtype == np.float32
            assert np.abs(field).max() < 9
            assert abs(field.mean()) < 2


def test_every_kind_of_the_recipes_is_drawn() -> None:
    kinds = {layer.kind for recipe in load_world().textures.values() for layer in recipe.layers}
    assert kinds == LAYERS.keys()


@pytest.mark.parametrize("cell_px", [1.0, 2.5, 7.0, 25.0])
def test_bumps_have_unit_variance_and_the_size_asked_for(cell_px: float) -> None:
    fields = np.stack([bumps(np.random.default_rng(seed), 96, cell_px) for seed in range(40)])
    assert 0.9 < fields.std() < 1.1
    near, far = (float((fields[:, :, lag:] * fields[:, :, :-lag]).mean()) for lag in (1, round(3.5 * cell_px)))
    assert abs(far) < 0.15
    assert near > 0.5 if cell_px > 2 else near < 0.5


def test_octaves_add_detail() -> None:
    coarse, fine = (drawn("noise", cell=[20, 20], octaves=octaves) for octaves in (1, 4))
    assert np.abs(np.diff(fine)).mean() > 1.7 * np.abs(np.diff(coarse)).mean()


def test_streaks_and_bands_run_along_the_grain() -> None:
    for field in (drawn("streaks", length=[40, 40], width=[1.5, 1.5]), bands(regular=0)):
        assert np.abs(np.diff(field, axis=1)).mean() < 0.4 * np.abs(np.diff(field, axis=0)).mean()


def bands(regular: float) -> Field:
    return drawn("bands", width=[8, 8], regular=[regular, regular], warp=[0, 0])


def test_regular_bands_have_the_period_asked_for() -> None:
    assert math.isclose(strongest_period(bands(regular=1)[:, 10]), 8, rel_tol=0.15)


def test_rings_are_round() -> None:
    field = drawn("rings", feed=[6, 6], regular=[1, 1], reach=[1e-6, 1e-6])
    np.testing.assert_allclose(field, np.rot90(field), atol=0.35)
    assert math.isclose(strongest_period(field[48, 48:]), 6, rel_tol=0.15)


def test_zoom_makes_patterns_larger() -> None:
    periods = [
        strongest_period(drawn("grating", zoom=zoom, period=[6, 6], sharpness=[1, 1], crossed=0)[:, 5])
        for zoom in (1, 2)
    ]
    np.testing.assert_allclose(periods, [6, 12], rtol=0.1)


def test_a_crossed_grating_varies_both_ways_and_a_plain_one_along_y_alone() -> None:
    plain, crossed = (drawn("grating", period=[6, 6], sharpness=[8, 8], crossed=share) for share in (0.0, 1.0))
    assert np.abs(np.diff(plain, axis=1)).max() < 1e-4
    assert np.abs(np.diff(crossed, axis=1)).max() > 1


def test_grooves_are_dark_lines_and_cells_differ_in_tone() -> None:
    size = {"size": [16, 16], "jitter": [0, 0]}
    grooves, tones = (drawn("cells", look=look, line=[2, 2], **size) for look in ("groove", "tone"))
    assert 0.05 < (grooves < -1).mean() < 0.4
    flat = np.abs(np.diff(tones, axis=1)) < 1e-6
    assert flat.mean() > 0.6
    assert tones.std() > 0.5


def test_domes_are_highest_in_the_middle_of_cells() -> None:
    domes = drawn("cells", look="dome", size=[16, 16], jitter=[0, 0])
    assert 20 < (domes > 0.85).sum() < 200
    assert domes.min() < -0.4


def test_plain_threads_alternate() -> None:
    weave = drawn("weave", thread=[8, 8], repeat=[2], uneven=[0, 0])
    np.testing.assert_allclose(weave[:80, :80], weave[16:, :80], atol=1e-4)
    assert np.abs(weave[:80, :80] - weave[8:88, :80]).mean() > 0.3


def test_dots_lie_on_a_lattice() -> None:
    dots = drawn("dots", spacing=[12, 12], radius=[0.25, 0.25], staggered=0)
    np.testing.assert_allclose(dots[:84], dots[12:], atol=1e-3)
    share = (np.abs(dots - np.median(dots)) > 1).mean()
    assert math.isclose(share, math.pi * 0.25**2, rel_tol=0.3)


@pytest.mark.parametrize(("bright", "sign"), [(1.0, 1), (0.0, -1)])
def test_specks_and_fibres_are_bright_or_dark(bright: float, sign: int) -> None:
    specks = drawn("specks", density=[10, 10], radius=[1, 2], bright=bright)
    fibres = drawn("fibres", density=[10, 10], length=[10, 20], bright=bright)
    for field in (specks, fibres):
        assert (sign * field).min() > -1e-6
        assert 0.02 < (sign * field > 0.3).mean() < 0.5
