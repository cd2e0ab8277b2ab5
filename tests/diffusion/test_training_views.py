import numpy as np
import pytest
from settings import settings

from pipeline_tasks.diffusion.training_views import PromptedImage, defect_view, normal_view
from pipeline_tasks.images.boxes import crop


def backend(view="window"):
    return settings(backend={"name": "controlnet", "resolution_px": 32, "view": view}).backend


def image(mask):
    height, width = mask.shape
    ramp = np.arange(height * width, dtype=np.uint32).reshape(mask.shape) % 251
    return PromptedImage(ramp.astype(np.uint8)[..., None].repeat(3, axis=2), mask, "a prompt", "mask of a prompt")


def small():
    mask = np.zeros((80, 120), bool)
    mask[30:36, 60:79] = True
    return image(mask)


def long():
    mask = np.zeros((80, 120), bool)
    mask[40:43, 5:115] = True
    return image(mask)


def views(of, count=60, view="window"):
    return [defect_view(of, backend(view), np.random.default_rng(seed)) for seed in range(count)]


def test_a_small_defect_is_whole_at_native_resolution_and_anywhere_in_the_view():
    seen = views(small())
    assert {v.box.width for v in seen} == {32} and all(v.mask.sum() == small().mask.sum() for v in seen)
    assert len({(v.box.y, v.box.x) for v in seen}) > 20
    assert all(0 <= v.box.y <= 80 - 32 and 0 <= v.box.x <= 120 - 32 for v in seen)
    assert len({tuple(np.argwhere(v.mask)[0]) for v in seen}) > 20


def test_pixels_and_mask_are_those_of_the_box_mirrored_alike():
    for view in views(small(), 8):
        wanted = crop(small().pixels, view.box)[..., 0] / np.float32(127.5) - 1
        part = crop(small().mask, view.box)
        flips = [a for a in ((), (0,), (1,), (0, 1)) if np.array_equal(np.flip(part, a), view.mask)]
        assert any(np.allclose(np.flip(wanted, a), view.pixels[0]) for a in flips)
        assert view.hole is view.mask or np.array_equal(view.hole, view.mask)


def test_a_long_defect_is_seen_at_scales_from_native_to_whole():
    sides = [v.box.width for v in views(long())]
    assert 32 <= min(sides) < 45 and 100 < max(sides) <= 120
    assert all(v.mask.any() for v in views(long()))


def test_a_whole_image_is_only_mirrored():
    assert {(v.box.y, v.box.x, v.box.height, v.box.width) for v in views(small(), view="image")} == {(0, 0, 80, 120)}
    assert len({v.pixels.tobytes() for v in views(small(), view="image")}) == 4


@pytest.mark.parametrize("view", ["window", "image"])
def test_a_normal_view_has_the_scale_and_the_hole_of_another_but_no_mask(view):
    like, normal = views(long(), 1, view)[0], image(np.zeros((200, 90), bool))
    seen = [normal_view(normal, like, backend(view), np.random.default_rng(seed)) for seed in range(20)]
    assert not any(v.mask.any() for v in seen) and all(np.array_equal(v.hole, like.hole) for v in seen)
    assert view == "image" or {v.box.width for v in seen} == {like.box.width}
    assert len({v.pixels.tobytes() for v in seen}) > 3
