import cv2
import numpy as np
import pytest

from pipeline_tasks.images.counterpart import MARGIN_PX, remove_defect


def concrete(height: int = 160, width: int = 200, strength: float = 12) -> np.ndarray:
    """Return a textured grey surface, brighter to the right."""
    noise = np.random.default_rng(1).normal(0, strength, (height, width, 3))
    grain = cv2.GaussianBlur(noise, (0, 0), 1.0) * 2
    return np.clip(120 + np.linspace(0, 60, width)[:, None] + grain, 0, 255).astype(np.uint8)


def stroke(thickness: int, shape: tuple[int, int] = (160, 200)) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    return cv2.line(mask, (20, 130), (180, 30), 1, thickness).astype(bool)


def cracked(mask: np.ndarray, clean: np.ndarray) -> np.ndarray:
    pixels = clean.copy()
    pixels[mask] = 15
    return pixels


@pytest.mark.parametrize("thickness", [1, 4, 9, 70])
def test_a_dark_line_gives_way_to_the_surface_beside_it(thickness):
    clean, mask = concrete(), stroke(thickness)
    result = remove_defect(cracked(mask, clean), mask)
    assert abs(result[mask].mean() - clean[mask].mean()) < 6
    assert result[mask].min() > 60
    blurred = [cv2.GaussianBlur(image.astype(np.float32), (0, 0), 6)[mask] for image in (result, clean)]
    assert np.abs(blurred[0] - blurred[1]).mean() < 8


def comb() -> np.ndarray:
    """Return strokes so close that texture from beside one lies partly under another."""
    mask = np.zeros((160, 200), bool)
    mask[20:140, 20:180] = np.arange(160) % 48 < 20
    return mask


@pytest.mark.parametrize("mask", [stroke(4), stroke(70), comb()])
def test_the_filling_is_textured_like_the_surface(mask):
    clean = concrete()
    result = remove_defect(cracked(mask, clean), mask)
    grain = [(image - cv2.GaussianBlur(image.astype(np.float32), (0, 0), 4))[mask].std() for image in (result, clean)]
    assert 0.85 < grain[0] / grain[1] < 1.15


@pytest.mark.parametrize("seed", range(5))
def test_beyond_the_margin_nothing_changes(seed):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (60, 70, 3), dtype=np.uint8)
    mask = rng.random((60, 70)) < 0.002
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    result = remove_defect(pixels, mask)
    far = distance > MARGIN_PX
    assert far.any()
    assert np.array_equal(result[far], pixels[far])
    assert (result[mask] != pixels[mask]).any()


def test_an_image_without_defect_is_returned_as_it_is():
    clean = concrete(40, 50)
    assert np.array_equal(remove_defect(clean, np.zeros((40, 50), bool)), clean)


def test_the_argument_is_not_written_to():
    clean, mask = concrete(), stroke(4)
    pixels = cracked(mask, clean)
    before = pixels.copy()
    remove_defect(pixels, mask)
    assert np.array_equal(pixels, before)


@pytest.mark.parametrize("shape", [(1, 1), (5, 9), (24, 300)])
def test_a_defect_that_fills_the_image_still_gives_an_image(shape):
    pixels = np.full((*shape, 3), 90, np.uint8)
    result = remove_defect(pixels, np.ones(shape, bool))
    assert result.shape == pixels.shape
    assert (result == 90).all()


def test_texture_never_comes_from_the_defect():
    """Where most of the image is defect, what little is known is all that may appear."""
    mask = np.ones((60, 200), bool)
    mask[:, :20] = False
    pixels = np.where(mask[..., None], np.random.default_rng(0).integers(0, 40, (60, 200, 3)), 180).astype(np.uint8)
    assert remove_defect(pixels, mask)[mask].min() > 150
