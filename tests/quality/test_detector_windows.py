import numpy as np
import pytest
from settings import small_detector

from pipeline_tasks.images.codec import encode_image, encode_mask
from pipeline_tasks.quality.windows import Scene, TrainingWindows, around_defect, open_scene

PARAMS = small_detector(batch_size=8)


def scene(grey, shape=(60, 50), defect=None):
    """A plain scene whose windows are known by their grey; `defect` are slices."""
    mask = np.zeros(shape, bool)
    if defect:
        mask[defect] = True
    return Scene(np.full((*shape, 3), grey, np.uint8), mask, 0.0, -9.0)


def greys(images):
    return [round(float(image.mean())) for image in images]


def test_small_images_are_opened_at_native_resolution():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 64, 3), dtype=np.uint8)
    mask = np.eye(40, 64, dtype=bool)
    opened = open_scene(encode_image(pixels), encode_mask(mask), 64)
    assert np.array_equal(opened.pixels, pixels)
    assert np.array_equal(opened.mask, mask)


def test_large_images_are_scaled_to_the_longest_side_and_keep_thin_defects():
    mask = np.zeros((100, 400), bool)
    mask[50] = True
    opened = open_scene(encode_image(np.zeros((100, 400, 3), np.uint8)), encode_mask(mask), 80)
    assert opened.pixels.shape == (20, 80, 3)
    assert opened.mask.any(axis=0).all()
    assert opened.mask.sum() == 80


def test_an_image_without_mask_is_normal():
    opened = open_scene(encode_image(np.zeros((8, 8, 3), np.uint8)), None, 64)
    assert opened.mask.shape == (8, 8)
    assert not opened.mask.any()


def test_exposure_drops_out():
    pixels = np.random.default_rng(0).integers(60, 80, (16, 16, 3), dtype=np.uint8)
    dark, bright = (open_scene(encode_image(pixels + shift), None, 64) for shift in (np.uint8(0), np.uint8(90)))
    assert np.allclose(dark.normalised(dark.pixels), bright.normalised(bright.pixels), atol=1e-5)
    assert abs(dark.normalised(dark.pixels).mean()) < 1e-5


def test_the_part_around_a_defect_holds_it_with_its_margin_and_keeps_the_whole_images_level():
    whole = scene(9, (90, 80), np.s_[30:35, 2:6])
    part = around_defect(whole, 10)
    assert part.pixels.shape == (25, 16, 3)
    assert part.mask.sum() == whole.mask.sum()
    assert (part.level, part.spread) == (whole.level, whole.spread)
    assert part.pixels.base is None


@pytest.mark.parametrize(("fraction", "synthetic"), [(0.0, 0), (0.5, 2), (1.0, 4)])
def test_half_of_a_batch_is_near_a_defect_and_a_share_of_it_synthetic(fraction, synthetic):
    real = [scene(10), scene(20, defect=np.s_[5:8, 5:8])]
    made = [scene(30, defect=np.s_[40:42, 30:33])]
    windows = TrainingWindows(real, made, PARAMS.model_copy(update={"synthetic_fraction": fraction}))
    images, masks = windows.draw(np.random.default_rng(0))
    assert images.shape == (8, 3, 32, 32)
    assert masks.shape == (8, 1, 32, 32)
    assert greys(images[:4]) == [30] * synthetic + [20] * (4 - synthetic)
    assert set(greys(images[4:])) <= {10, 20}
    assert masks[:4].any(axis=(1, 2, 3)).all()


def test_without_synthetic_scenes_every_window_is_real():
    windows = TrainingWindows([scene(20, defect=np.s_[5:8, 5:8])], [], PARAMS)
    assert greys(windows.draw(np.random.default_rng(0))[0]) == [20] * 8


def test_windows_come_in_all_four_flips_with_their_masks():
    only = scene(0, (32, 32), np.s_[0:3, 0:5])
    only.pixels[only.mask] = 200
    windows = TrainingWindows([only], [], PARAMS)
    images, masks = windows.draw(np.random.default_rng(0))
    assert np.array_equal(images[:, :1] > 0, masks > 0)
    assert {(bool(m[0, 0, 0]), bool(m[0, -1, 0]), bool(m[0, 0, -1])) for m in masks} == {
        (True, False, False),
        (False, True, False),
        (False, False, True),
        (False, False, False),
    }


def test_images_smaller_than_a_window_are_continued():
    images, masks = TrainingWindows([scene(7, (20, 10), np.s_[4:6, 4:6])], [], PARAMS).draw(np.random.default_rng(0))
    assert greys(images) == [7] * 8
    assert masks.any(axis=(1, 2, 3)).all()
