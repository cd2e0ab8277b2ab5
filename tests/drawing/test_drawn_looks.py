import numpy as np
import pytest
from drawn_surfaces import flat_surface

from pipeline_tasks.drawing.defect_recipes import Blobs, DefectRecipe, Grain, Look
from pipeline_tasks.drawing.fields import Field
from pipeline_tasks.drawing.looks import lit
from pipeline_tasks.drawing.shapes import Region, draw_region

DISC = Blobs(kind="blobs", radius=(14.0, 14.0), rough=(0.0, 0.0), elongation=(1.0, 1.0))
SURFACE = flat_surface(level=100.0, side_px=96)


def _region() -> Region:
    return draw_region(np.random.default_rng(2), DefectRecipe(shape=DISC, look=Look()), SURFACE)


def _light(look: Look) -> Field:
    return lit(np.random.default_rng(1), look, SURFACE, _region())[..., 0]


def _sides(light: Field) -> tuple[float, float]:
    """Return the mean light of the halves of the disc that are towards the lamp, which is on the right, and away."""
    inside = _region().inside
    right = SURFACE.grid.x > SURFACE.grid.x[inside > 0].mean()
    return float(light[(inside > 0) & right].mean()), float(light[(inside > 0) & ~right].mean())


@pytest.mark.parametrize(
    ("look", "level"), [(Look(dark=(0.4, 0.4)), 60.0), (Look(bright=(0.5, 0.5), bright_share=1.0), 170.0)]
)
def test_tone_is_a_share_of_the_light(look: Look, level: float) -> None:
    assert np.allclose(_light(look)[_region().inside > 2], level, atol=0.01)


def test_a_hill_is_lit_on_the_side_of_the_lamp_and_a_hollow_on_the_other() -> None:
    towards, away = _sides(_light(Look(relief=(0.5, 0.5), raised=1.0)))
    assert towards > away + 10
    towards, away = _sides(_light(Look(relief=(0.5, 0.5), raised=0.0)))
    assert towards < away - 10


def test_rounded_slopes_begin_gently() -> None:
    edge = np.abs(_region().inside - 1) < 0.6
    steep, gentle = (np.abs(_light(Look(relief=(0.5, 0.5), slope=(1.0, 1.0), rounded=r)) - 100) for r in (False, True))
    assert gentle[edge].mean() < 0.6 * steep[edge].mean()


def test_a_hollow_is_darkest_in_its_middle() -> None:
    light, inside = _light(Look(hollow=(0.6, 0.6))), _region().inside
    assert light[inside > 11].mean() < light[(inside > 1) & (inside < 4)].mean() - 20


def test_a_shadow_falls_away_from_the_lamp() -> None:
    light, region = _light(Look(shadow=(0.5, 0.5))), _region()
    dark = light < 90
    assert dark.any()
    assert SURFACE.grid.x[dark].max() < SURFACE.grid.x[region.inside > 0].mean()


def test_gloss_is_a_spot_towards_the_lamp() -> None:
    light, region = _light(Look(gloss=(0.5, 0.5))), _region()
    row, column = np.unravel_index(np.argmax(light), light.shape)
    assert light.max() > 200
    assert SURFACE.grid.x[row, column] > SURFACE.grid.x[region.inside > 0].mean() + 2


def test_a_rim_follows_the_outline() -> None:
    light, region = _light(Look(rim=(0.5, 0.5))), _region()
    assert light[region.inside == 1].mean() > 120
    assert np.allclose(light[region.inside > 8], 100, atol=0.1)


def test_a_soft_defect_gains_strength_inwards() -> None:
    light, inside = _light(Look(dark=(0.5, 0.5), soft=(8.0, 8.0))), _region().inside
    assert light[inside > 9].mean() < 55
    assert light[(inside > 0) & (inside < 2)].mean() > 85


def test_what_lies_beneath_shows_where_material_is_missing() -> None:
    assert np.allclose(_light(Look(fill="beneath"))[_region().inside > 2], 50, atol=0.01)


@pytest.mark.parametrize("kind", ["noise", "ridges", "facets"])
def test_the_inside_has_a_texture_of_its_own(kind: str) -> None:
    look = Look(grains=[Grain(kind=kind, cell=(3.0, 3.0), contrast=(0.2, 0.2))])
    light, region = _light(look), _region()
    assert 8 < light[region.inside > 2].std() < 45
    assert np.array_equal(light[region.outside > 2], SURFACE.light[region.outside > 2, 0])


def test_displaced_material_is_another_part_of_the_surface() -> None:
    stripes = 100 + 40 * np.sin(SURFACE.grid.x + SURFACE.grid.y)[..., None].repeat(3, axis=2).astype(np.float32)
    surface, region = SURFACE._replace(light=stripes), _region()
    light = lit(np.random.default_rng(1), Look(fill="displaced", keeps=(1.0, 1.0)), surface, region)[..., 0]
    inside = region.inside > 2
    assert np.abs(light - stripes[..., 0])[inside].mean() > 10
    assert light[inside].std() == pytest.approx(stripes[..., 0].std(), rel=0.3)
