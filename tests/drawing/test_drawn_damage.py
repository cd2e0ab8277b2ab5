import cv2
import numpy as np
import pytest
from drawn_surfaces import flat_surface, half_surface

from pipeline_tasks.drawing.damage import LARGEST_SHARE, VISIBLE_CHANGE, Damage, draw_damage, visible_change
from pipeline_tasks.drawing.defect_recipes import Blobs, DefectRecipe, Look
from pipeline_tasks.drawing.surface import Surface, draw_surface
from pipeline_tasks.drawing.world import load_world

WORLD = load_world()
SPOT = Blobs(kind="blobs", radius=(6.0, 6.0))


def _random(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _textured(seed: int, side_px: int) -> Surface:
    names = list(WORLD.textures)
    return draw_surface(_random(seed), WORLD.textures[names[seed % len(names)]], WORLD.studio, side_px)


def _assert_fits(damage: Damage, surface: Surface) -> None:
    mask = damage.cover >= 0.5
    assert damage.light.dtype == damage.cover.dtype == np.float32
    assert damage.light.shape == surface.light.shape
    assert damage.light.min() >= 0
    assert 0 < mask.mean() <= LARGEST_SHARE
    assert visible_change(damage.light, surface.light, damage.cover) >= VISIBLE_CHANGE
    far = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) > 2
    assert np.array_equal(damage.light[far], surface.light[far])


@pytest.mark.parametrize("name", WORLD.defects)
def test_a_defect_can_be_seen_and_ends_with_its_mask(name: str) -> None:
    for seed in range(12):
        surface = _textured(seed, 128 if seed % 4 == 0 else 64)
        _assert_fits(draw_damage(_random(seed), WORLD.defects[name], surface), surface)


@pytest.mark.parametrize("level", [0.0, 3.0, 250.0, 400.0])
@pytest.mark.parametrize("name", ["hairline", "pit", "stain", "chip", "peeling", "dent", "displaced"])
def test_a_defect_can_be_seen_on_black_and_on_saturated_surfaces(name: str, level: float) -> None:
    surface = flat_surface(level)
    for seed in range(4):
        _assert_fits(draw_damage(_random(seed), WORLD.defects[name], surface), surface)


def test_the_same_generator_draws_the_same_defect() -> None:
    surface = _textured(5, 64)
    first, again = (draw_damage(_random(8), WORLD.defects["crack"], surface) for _ in range(2))
    other = draw_damage(_random(9), WORLD.defects["crack"], surface)
    assert np.array_equal(first.light, again.light)
    assert np.array_equal(first.cover, again.cover)
    assert not np.array_equal(first.cover, other.cover)


@pytest.mark.parametrize("name", ["stain", "inclusion", "fibre", "corrosion", "specks", "wear"])
def test_a_monochrome_camera_sees_no_colour(name: str) -> None:
    for seed in range(6):
        light = draw_damage(_random(seed), WORLD.defects[name], flat_surface()).light
        assert np.ptp(light, axis=2).max() < 1e-3


def test_rust_is_red_on_a_surface_with_colour() -> None:
    damage = draw_damage(_random(1), WORLD.defects["corrosion"], flat_surface((120.0, 122.0, 125.0)))
    red, _, blue = damage.light[damage.cover > 0.9].mean(axis=0)
    assert red > blue + 2


def test_a_change_that_is_too_faint_is_strengthened() -> None:
    recipe = DefectRecipe(shape=SPOT, look=Look(dark=(0.02, 0.02)))
    damage = draw_damage(_random(1), recipe, flat_surface())
    assert VISIBLE_CHANGE <= visible_change(damage.light, flat_surface().light, damage.cover) <= 8


@pytest.mark.parametrize("level", [5.0, 300.0])
def test_where_a_recipe_changes_nothing_a_speck_is_drawn(level: float) -> None:
    surface = flat_surface(level)
    damage = draw_damage(_random(1), DefectRecipe(shape=SPOT, look=Look()), surface)
    _assert_fits(damage, surface)


def test_a_mask_that_would_fill_the_window_is_drawn_anew() -> None:
    shape = Blobs(kind="blobs", unit="side", radius=(0.2, 3.0))
    for seed in range(8):
        damage = draw_damage(_random(seed), DefectRecipe(shape=shape, look=Look(dark=(0.5, 0.5))), flat_surface())
        assert np.mean(damage.cover >= 0.5) <= LARGEST_SHARE


def test_a_chip_lies_at_the_edge_and_a_burr_beyond_it() -> None:
    surface = half_surface()
    for seed in range(8):
        chip, burr = (
            draw_damage(_random(seed), WORLD.defects[name], surface).cover >= 0.5 for name in ("chip", "burr")
        )
        assert surface.clearance[chip].min() < 3
        assert surface.clearance[chip].min() >= 0
        assert surface.clearance[burr].max() <= 0
        assert surface.clearance[burr].max() > -6


def test_most_defects_are_thin_and_the_wide_ones_often_very_wide() -> None:
    weights = np.array([recipe.weight for recipe in WORLD.defects.values()])
    drawn, surface = _random(3).choice(len(weights), 600, p=weights / weights.sum()), flat_surface()
    recipes = list(WORLD.defects.values())
    widths = np.array([_width(draw_damage(_random(k), recipes[which], surface)) for k, which in enumerate(drawn)])
    assert 0.6 < np.mean(widths < 14) < 0.78
    assert np.mean(widths > 40) > 0.06


def _width(damage: Damage) -> float:
    mask = np.pad((damage.cover >= 0.5).astype(np.uint8), 1, mode="edge")
    return float(2 * cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_5).max() - 1)


def test_wide_defects_grow_with_the_window_and_thin_ones_do_not() -> None:
    def typical_width(name: str, side_px: int) -> float:
        surface = flat_surface(side_px=side_px)
        return float(np.median([_width(draw_damage(_random(k), WORLD.defects[name], surface)) for k in range(24)]))

    assert typical_width("peeling", 128) > 1.5 * typical_width("peeling", 64)
    assert typical_width("hairline", 128) < 1.3 * typical_width("hairline", 64)
