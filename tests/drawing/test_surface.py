import math
from typing import Any

import numpy as np
import pytest

from pipeline_tasks.drawing.surface import FAR_PX, Surface, draw_surface
from pipeline_tasks.drawing.texture_recipes import Studio, TextureRecipe
from pipeline_tasks.drawing.world import load_world

WORLD = load_world()
PLAIN: dict[str, Any] = {
    "weight": 1,
    "brightness": [100, 100],
    "contrast": [0.1, 0.1],
    "zoom": [1, 1],
    "saturation": [0, 0],
    "hues": [0, 0],
    "gloss": [0, 0],
    "layers": [{"kind": "noise", "weight": [1, 1], "cell": [4, 4], "octaves": 1}],
}
"""Grey noise of mean 100 and deviation 10, evenly lit in EVEN."""
EVEN = {
    "wear": {**WORLD.studio.wear.model_dump(), "share": 0},
    "lighting": {
        "gradient": [0, 0],
        "vignette": [0, 0],
        "highlight": 0,
        "highlight_width": [0.5, 0.5],
        "shadow": 0,
        "shadow_depth": [0.5, 0.5],
    },
    "edge": {"share": 0, "covered": [0.5, 0.8], "chamfer": [1, 1], "shading": [0, 0], "straight": 0.5},
    "beneath": {"ratio": [0.3, 0.3], "contrast": [0.05, 0.05], "cell": [4, 4], "own_layers": 0},
}


def surface(seed: int = 0, texture: dict[str, Any] | None = None, **studio: dict[str, Any]) -> Surface:
    """Draw PLAIN in EVEN with changes."""
    around = {name: {**section, **studio.get(name, {})} for name, section in EVEN.items()}
    recipe = TextureRecipe.model_validate({**PLAIN, **(texture or {})})
    return draw_surface(np.random.default_rng(seed), recipe, Studio.model_validate(around), 64)


@pytest.mark.parametrize("name", WORLD.textures)
def test_every_texture_is_drawn_in_its_range(name: str) -> None:
    recipe = WORLD.textures[name]
    for seed in range(4):
        drawn = draw_surface(np.random.default_rng(seed), recipe, WORLD.studio, 64)
        assert drawn.light.shape == drawn.beneath.shape == (64, 64, 3)
        assert {field.dtype for field in (drawn.light, drawn.beneath, drawn.clearance)} == {np.dtype(np.float32)}
        assert np.isfinite(drawn.light).all() and drawn.light.min() > 0 and drawn.beneath.min() > 0
        assert 0.2 * recipe.brightness[0] < drawn.light.mean() < 2.5 * recipe.brightness[1]
        assert math.isclose(math.hypot(*drawn.lamp), 1)


def test_the_same_seed_draws_the_same_bytes() -> None:
    one, same, other = surface(seed=1), surface(seed=1), surface(seed=2)
    assert one.light.tobytes() == same.light.tobytes()
    assert one.light.tobytes() != other.light.tobytes()


def test_brightness_and_contrast_are_those_of_the_recipe() -> None:
    lights = np.stack([surface(seed).light.mean(axis=2) for seed in range(12)])
    assert math.isclose(lights.mean(), 100, rel_tol=0.02)
    assert math.isclose(lights.std(), 10, rel_tol=0.2)


def test_saturation_tints_and_zero_is_grey() -> None:
    grey = surface(texture={"contrast": [1e-6, 1e-6]}).light
    red = surface(texture={"contrast": [1e-6, 1e-6], "saturation": [0.5, 0.5]}).light
    np.testing.assert_allclose(grey, 100, atol=0.01)
    np.testing.assert_allclose(red.mean(axis=(0, 1)), [150, 75, 75], rtol=0.01)


def test_relief_is_lit_from_the_lamp() -> None:
    dome = {"kind": "dots", "weight": [1, 1], "relief": True, "spacing": [32, 32], "radius": [0.3, 0.3], "staggered": 0}
    for seed in range(4):
        drawn = surface(seed, {"layers": [dome]})
        down, right = np.gradient(drawn.light.mean(axis=2))
        assert abs(drawn.light.mean() - 100) < 3
        along, across = (np.abs(right * x + down * y).mean() for x, y in (drawn.lamp, (-drawn.lamp[1], drawn.lamp[0])))
        assert along > across


@pytest.mark.parametrize(
    ("lighting", "least"), [({"gradient": [0.3, 0.3]}, 0.4), ({"shadow": 1}, 0.3), ({"vignette": [0.4, 0.4]}, 0.3)]
)
def test_lamps_change_the_light_over_the_window(lighting: dict[str, Any], least: float) -> None:
    light = surface(texture={"contrast": [1e-6, 1e-6]}, lighting=lighting).light
    assert (light.max() - light.min()) / 100 > least


def test_highlights_are_as_bright_as_the_gloss() -> None:
    lights = [
        surface(seed, {"contrast": [1e-6, 1e-6], "gloss": [0.8, 0.8]}, lighting={"highlight": 1}).light.max()
        for seed in range(10)
    ]
    assert 150 < max(lights) <= 181


def test_without_an_edge_all_is_far_from_it() -> None:
    np.testing.assert_array_equal(surface().clearance, FAR_PX)


@pytest.mark.parametrize("straight", [0.0, 1.0])
def test_beyond_the_edge_lies_what_is_beneath(straight: float) -> None:
    for seed in range(12):
        drawn = surface(seed, edge={"share": 1, "straight": straight})
        outside, inside = drawn.clearance < -1, drawn.clearance > 3
        np.testing.assert_array_equal(drawn.light[outside], drawn.beneath[outside])
        assert 0.05 < outside.mean() < 0.95
        assert math.isclose(drawn.light[inside].mean(), 100, rel_tol=0.1)
        assert 15 < drawn.beneath.mean() < 45
        steps = np.hypot(*np.gradient(drawn.clearance))
        assert np.percentile(steps, 90) < 1.02
        assert np.median(steps) > 0.98


def test_a_chamfer_is_lit_on_the_side_of_the_lamp() -> None:
    shares = []
    for seed in range(12):
        changes = {"share": 1, "straight": 1, "chamfer": [8, 8]}
        flat, sloping = (surface(seed, edge={**changes, "shading": [value, value]}) for value in (0.0, 0.8))
        slope = (flat.clearance > 1) & (flat.clearance < 6)
        outwards = -np.array(np.gradient(flat.clearance))[:, slope].mean(axis=1)
        facing = outwards @ (flat.lamp[1], flat.lamp[0])
        gain = (sloping.light[slope] / flat.light[slope]).mean() - 1
        assert abs(gain) < 0.05 or np.sign(gain) == np.sign(facing)
        shares.append(abs(gain))
    assert max(shares) > 0.3


def test_wear_changes_the_light() -> None:
    worn, new = (surface(texture={"contrast": [1e-6, 1e-6]}, wear={"share": share}).light.std() for share in (1, 0))
    assert worn > 100 * new


def test_a_window_shows_the_parts_edge_where_it_is_asked_for() -> None:
    recipe = WORLD.textures[next(iter(WORLD.textures))]
    edged, free = (
        [
            draw_surface(np.random.default_rng(seed), recipe, WORLD.studio, 64, edged=asked).clearance
            for seed in range(20)
        ]
        for asked in (True, False)
    )
    assert all(clearance.min() < 0 < clearance.max() for clearance in edged)
    assert sum(clearance.min() < 0 for clearance in free) < 10
