import numpy as np
import pytest

from pipeline_tasks.images.boxes import Box
from pipeline_tasks.inpainting.level import level_field, level_within


def hole_in(shape, rows, columns):
    hole = np.zeros(shape, bool)
    hole[slice(*rows), slice(*columns)] = True
    return hole


def test_the_level_ignores_what_is_in_the_hole():
    pixels, hole = np.full((80, 80, 3), 50, np.float32), hole_in((80, 80), (30, 40), (30, 40))
    pixels[hole] = 255
    np.testing.assert_allclose(level_field(pixels, ~hole), 50, atol=1e-3)


def test_the_level_goes_on_under_the_hole():
    ramp = np.broadcast_to(np.linspace(40, 200, 160, dtype=np.float32)[None, :, None], (96, 160, 3)).copy()
    hole = hole_in((96, 160), (30, 60), (70, 100))
    damaged = np.where(hole[..., None], 0, ramp)
    error = np.abs(level_field(damaged, ~hole) - ramp)
    assert error[:, 40:120].max() < 12 < 40 < np.abs(ramp - 120).max()  # against the mean of all


def test_a_hole_wider_than_the_near_context_takes_the_far_one():
    pixels, hole = np.zeros((200, 400, 3), np.float32), hole_in((200, 400), (0, 200), (100, 300))
    pixels[:, :200], pixels[:, 200:] = 20, 180
    level = level_field(np.where(hole[..., None], 250, pixels), ~hole)[100, :, 0]
    assert level[110] < 60 and level[290] > 140 and 20 < level[200] < 180
    assert (np.diff(level[110:290]) >= -1e-3).all()


def test_nothing_known_is_its_own_context():
    pixels = np.random.default_rng(0).uniform(0, 255, (64, 64, 3)).astype(np.float32)
    level = level_field(pixels, np.zeros((64, 64), bool))
    assert np.abs(level - pixels.mean(axis=(0, 1))).max() < 20


@pytest.mark.parametrize("box", [Box(-10, 40, 32, 48), Box(90, 90, 64, 64)])
def test_a_part_at_the_border_has_a_level_of_its_own_size(box):
    pixels = np.full((100, 100, 3), 70, np.uint8)
    level = level_within(pixels, hole_in((100, 100), (40, 60), (40, 60)), box)
    assert level.shape == (box.height, box.width, 3)
    np.testing.assert_allclose(level, 70, atol=1e-3)


def test_deep_inside_a_wide_hole_the_level_is_that_of_the_rest_of_the_image():
    pixels, hole = np.full((400, 400, 3), 150, np.uint8), hole_in((400, 400), (20, 380), (20, 380))
    pixels[hole] = 40
    for y in (100, 130, 140, 150, 170):
        level = level_within(pixels, hole, Box(y, 170, 32, 32))
        np.testing.assert_allclose(level, 150, atol=2)
