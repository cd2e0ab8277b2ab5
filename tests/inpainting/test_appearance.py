import cv2
import numpy as np
import pytest

from pipeline_tasks.inpainting.appearance import CODE_SIZE, PLANES, RIM_PX, laid, look, measure_code, measure_guide

CORE, RIM = slice(0, 3), slice(3, 6)
CORE_BANDS, RIM_BANDS = slice(6, 9), slice(9, 12)


def disc(side=64, radius=24):
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return np.hypot(y, x) <= radius


def grey(plane):
    return np.repeat(plane.astype(np.float32)[..., None], 3, axis=2)


def test_core_and_rim_have_means_of_their_own():
    mask = disc()
    core = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) > RIM_PX + 1
    residual = np.where(core[..., None], np.float32([-2, -1, 0]), np.float32([1, 1, 1])).astype(np.float32)
    residual[~mask] = 100  # what is around a defect says nothing of it
    code = measure_code(residual, mask)
    assert code.shape == (CODE_SIZE,) and code.dtype == np.float32
    np.testing.assert_allclose(code[CORE], [-2, -1, 0], atol=0.25)
    np.testing.assert_allclose(code[RIM], [1, 1, 1], atol=0.25)


def test_a_thin_defect_is_all_rim():
    mask = np.zeros((64, 64), bool)
    mask[30:33, 5:60] = True
    residual = np.random.default_rng(0).normal(-1, 0.3, (64, 64, 3)).astype(np.float32)
    code = measure_code(residual, mask)
    np.testing.assert_array_equal(code[CORE], code[RIM])
    np.testing.assert_allclose(code[CORE], residual[mask].mean(axis=0), rtol=1e-5)


def test_a_defect_that_fills_the_window_is_all_core():
    residual = np.random.default_rng(0).normal(-1, 0.3, (64, 64, 3)).astype(np.float32)
    code = measure_code(residual, np.ones((64, 64), bool))
    np.testing.assert_array_equal(code[CORE], code[RIM])
    np.testing.assert_allclose(code[CORE], residual.mean(axis=(0, 1)), rtol=1e-5)


@pytest.mark.parametrize(
    ("pattern", "loudest"),
    [
        (lambda rng: rng.normal(0, 1, (64, 64)), 0),
        (lambda _: np.sin(np.arange(64) * np.pi / 6)[None].repeat(64, axis=0), 1),
        (lambda _: np.linspace(-1, 1, 64)[None].repeat(64, axis=0), 2),
    ],
)
def test_roughness_is_told_band_by_band_so_that_shading_is_no_grain(pattern, loudest):
    mask = disc(radius=28)
    code = measure_code(grey(np.where(mask, pattern(np.random.default_rng(0)), 50)), mask)
    bands = code[CORE_BANDS]
    assert bands.argmax() == loudest
    assert bands[loudest] > 2 * np.delete(bands, loudest).max()


def test_contrast_scales_the_code_and_the_guide():
    rng, mask = np.random.default_rng(0), disc()
    residual = rng.normal(-1, 0.5, (64, 64, 3)).astype(np.float32)
    np.testing.assert_allclose(measure_code(3 * residual, mask), 3 * measure_code(residual, mask), rtol=1e-4)
    np.testing.assert_allclose(
        measure_guide(3 * residual, mask).cells, 3 * measure_guide(residual, mask).cells, rtol=1e-4
    )


def test_a_guide_keeps_the_shading_and_drops_the_grain_and_what_is_around():
    rng, mask = np.random.default_rng(0), disc(128, 50)
    ramp = grey(np.linspace(-2, 2, 128)[None].repeat(128, axis=0))
    noisy = np.where(mask[..., None], ramp + rng.normal(0, 1, (128, 128, 3)), 100).astype(np.float32)
    guide = measure_guide(noisy, mask)
    shown = laid(guide, guide.extent, mask.shape)
    inner = disc(128, 35)
    assert np.abs(shown - ramp)[inner].max() < 0.6
    assert np.corrcoef(shown[inner].ravel(), ramp[inner].ravel())[0, 1] > 0.95


def test_a_guide_is_stretched_from_one_defects_extent_to_anothers():
    mask = np.zeros((64, 64), bool)
    mask[20:40, 0:64] = True
    guide = measure_guide(grey(np.linspace(-2, 2, 64)[None].repeat(64, axis=0)), mask)
    narrow = laid(guide, (100.0, 50.0, 60.0, 32.0), (200, 200))[130, :, 0]
    wide = laid(guide, (100.0, 50.0, 60.0, 64.0), (200, 200))[130, :, 0]
    assert narrow.shape == (200,)
    np.testing.assert_allclose(narrow[52:80:2], wide[54:110:4], atol=0.15)
    assert (np.diff(narrow[50:82]) >= 0).all() and narrow[82] - narrow[50] > 2.5


def test_a_look_is_zero_outside_the_mask_and_says_whether_it_was_guided():
    mask, code = disc(), np.arange(1, 13, dtype=np.float32)
    plain, guided = look(mask, code, None), look(mask, code, np.full((64, 64, 3), 9, np.float32))
    assert plain.shape == (64, 64, PLANES) and not plain[~mask].any() and not guided[~mask].any()
    middle, edge = (32, 32), (32, np.flatnonzero(mask[32])[0])
    np.testing.assert_allclose(plain[middle], [1, 2, 3, 7, 8, 9, 0])
    np.testing.assert_allclose(plain[edge], [4, 5, 6, 10, 11, 12, 0])
    np.testing.assert_allclose(guided[middle], [9, 9, 9, 7, 8, 9, 1])
