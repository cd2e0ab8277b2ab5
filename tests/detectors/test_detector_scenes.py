import numpy as np
from tiny_detector import plain_scene

from pipeline_tasks.detectors.windows import anywhere, around_defect, near_defect, open_scene
from pipeline_tasks.images.codec import encode_image, encode_mask


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
    whole = plain_scene(9, (90, 80), np.s_[30:35, 2:6])
    part = around_defect(whole, 10)
    assert part.pixels.shape == (25, 16, 3)
    assert part.mask.sum() == whole.mask.sum()
    assert (part.level, part.spread) == (whole.level, whole.spread)
    assert part.pixels.base is None


def test_windows_near_a_defect_show_it_at_other_places():
    scene = plain_scene(0, (200, 200), np.s_[100:102, 100:102])
    masks = [near_defect(scene, 32, np.random.default_rng(seed))[1] for seed in range(40)]
    assert all(mask.sum() == 4 for mask in masks)
    assert len({mask.tobytes() for mask in masks}) > 20


def test_without_a_defect_a_window_near_it_is_anywhere():
    image, mask = near_defect(plain_scene(7), 32, np.random.default_rng(0))
    assert image.shape == (32, 32, 3)
    assert not mask.any()


def test_images_smaller_than_a_window_are_continued():
    image, mask = anywhere(plain_scene(7, (20, 10), np.s_[0:20, 0:10]), 32, np.random.default_rng(0))
    assert (image == 7).all()
    assert mask.all()
