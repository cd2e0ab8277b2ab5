from dataclasses import replace

import cv2
import numpy as np
import pytest

from pipeline_tasks.drawing.damage import LARGEST_SHARE, VISIBLE_CHANGE
from pipeline_tasks.drawing.scene import REACH_PX, draw_scene, seen_change
from pipeline_tasks.drawing.world import load_world

WORLD = load_world()
NOISELESS = replace(WORLD, camera=WORLD.camera.model_copy(update={"noise": (1e-3, 1e-3), "shot": (0.0, 0.0)}))
PAIRS = [
    (texture, defect) for index, texture in enumerate(WORLD.textures) for defect in list(WORLD.defects)[index % 4 :: 4]
]


@pytest.mark.parametrize(("texture", "defect"), PAIRS)
def test_any_defect_on_any_texture_changes_its_mask_and_nothing_far_from_it(texture: str, defect: str) -> None:
    scene = draw_scene(WORLD, seed=11, side_px=64, texture=texture, defect=defect)
    assert (scene.texture, scene.defect) == (texture, defect)
    assert scene.pixels.shape == scene.clean.shape == (64, 64, 3)
    assert scene.pixels.dtype == scene.clean.dtype == np.uint8
    assert scene.mask.dtype == bool
    assert 0 < scene.mask.sum() <= LARGEST_SHARE * 64**2
    far = cv2.distanceTransform((~scene.mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) > REACH_PX
    np.testing.assert_array_equal(scene.pixels[far], scene.clean[far])
    assert (scene.pixels[scene.mask] != scene.clean[scene.mask]).any()


def test_defects_are_seen_in_nearly_every_scene() -> None:
    changes = []
    for seed in range(150):
        scene = draw_scene(NOISELESS, seed, 64)
        changes.append(seen_change(scene.clean.astype(np.float32), scene.pixels.astype(np.float32), scene.mask))
    assert np.mean(np.array(changes) >= VISIBLE_CHANGE - 0.5) > 0.97
    assert min(changes) > 1


def test_a_scene_follows_from_its_seed() -> None:
    large = 2**64 - 1
    one, same, other = (draw_scene(WORLD, seed, 64) for seed in (large, large, large - 1))
    for first, second in zip(one, same, strict=True):
        np.testing.assert_array_equal(first, second)
    assert one.pixels.tobytes() != other.pixels.tobytes()


def test_wide_windows_are_drawn_too() -> None:
    for seed in range(5):
        scene = draw_scene(WORLD, seed, 128)
        assert scene.pixels.shape == (128, 128, 3)
        assert scene.mask.any()


def test_scenes_vary() -> None:
    scenes = [draw_scene(WORLD, seed, 64) for seed in range(250)]
    means = np.array([scene.clean.mean() for scene in scenes])
    deviations = np.array([scene.clean.mean(axis=2).std() for scene in scenes])
    grey = np.mean([np.array_equal(scene.clean[..., 0], scene.clean[..., 2]) for scene in scenes])
    assert np.percentile(means, 10) < 65 < 170 < np.percentile(means, 90)
    assert np.percentile(deviations, 10) < 12 < 30 < np.percentile(deviations, 90)
    assert 0.35 < grey < 0.55
    assert len({scene.texture for scene in scenes}) > 0.8 * len(WORLD.textures)
    assert len({scene.defect for scene in scenes}) > 0.8 * len(WORLD.defects)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(KeyError, match="velvet"):
        draw_scene(WORLD, 0, 64, texture="velvet")


def test_change_is_that_in_the_mask_as_a_screen_shows_it() -> None:
    image, mask = np.full((8, 8, 3), 250, np.float32), np.eye(8, dtype=bool)
    assert seen_change(image, image + 20 * mask[..., None].astype(np.float32), mask) == pytest.approx(5)
    assert seen_change(image, image - 20, mask) == pytest.approx(20)
    assert seen_change(image[..., :1], image[..., :1] - 20, mask) == pytest.approx(20)
    assert seen_change(image, image - 20, np.zeros((8, 8), bool)) == -1
    assert seen_change(image, image - 20, np.ones((8, 8), bool)) == -1


def test_a_scene_does_not_depend_on_those_drawn_before_it() -> None:
    first = draw_scene(WORLD, 5, 64)
    draw_scene(WORLD, 6, 128)
    again = draw_scene(WORLD, 5, 64)
    assert first.pixels.tobytes() == again.pixels.tobytes() and first.mask.tobytes() == again.mask.tobytes()
