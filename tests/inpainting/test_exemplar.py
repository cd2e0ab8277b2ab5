import numpy as np
import pytest

from pipeline_tasks.inpainting.appearance import laid
from pipeline_tasks.inpainting.exemplar import LARGEST_PX, measure_exemplar
from pipeline_tasks.inpainting.training_windows import DefectImage


def shaded(height, width, level=150):
    """A defect whose darkness falls off to the right, on an even surface; it leaves 1 px of the surface free."""
    mask = np.zeros((height + 2, width + 2), bool)
    mask[1:-1, 1:-1] = True
    pixels = np.full((*mask.shape, 3), level, np.uint8)
    pixels[mask] = np.tile(np.linspace(20, 120, width), height)[:, None]
    return DefectImage(pixels, mask, 0, 1)


def along(image, width):
    seen = measure_exemplar(image, 64, 10.0, np.random.default_rng(0))
    return seen, laid(seen.guide, (0.0, 0.0, 64.0, float(width)), (64, width))[32, :, 0] * 10


def test_the_level_is_that_of_the_surface_and_the_guide_is_relative_to_it():
    seen, guide = along(shaded(64, 96), 96)
    assert seen.level == pytest.approx(150, abs=3)
    assert guide[20] == pytest.approx(41 - 150, abs=8) and guide[76] == pytest.approx(100 - 150, abs=8)


@pytest.mark.parametrize("side", [3 * LARGEST_PX, 3 * LARGEST_PX + 7])
def test_a_large_defect_has_the_guide_of_a_small_one_of_its_kind(side):
    _, large = along(shaded(200, side), 96)
    _, small = along(shaded(64, 96), 96)
    assert np.abs(large - small)[8:-8].max() < 12
    assert along(shaded(200, side), 96)[0].guide.cells.size < 3 * (LARGEST_PX / 4 + 2) ** 2


def test_a_defect_that_is_all_of_its_image_has_a_level():
    image = DefectImage(np.full((70, 70, 3), 90, np.uint8), np.ones((70, 70), bool), 0, 3)
    assert measure_exemplar(image, 64, 10.0, np.random.default_rng(0)).level == pytest.approx(90, abs=1)


def test_a_defect_at_the_border_is_not_its_own_surface():
    mask = np.zeros((80, 80), bool)
    mask[:, :20] = True
    pixels = np.where(mask[..., None], np.uint8(30), np.full((80, 80, 3), 150, np.uint8))
    assert measure_exemplar(DefectImage(pixels, mask, 0, 2), 64, 10.0, np.random.default_rng(0)).level > 140
