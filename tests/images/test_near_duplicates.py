import cv2
import numpy as np

from pipeline_tasks.images.near_duplicates import fingerprint, group_shots


def part(seed, side=160):
    rng = np.random.default_rng(seed)
    texture = cv2.GaussianBlur(rng.standard_normal((side, side), dtype=np.float32), (0, 0), 3)
    return np.clip(110 + 25 * texture / texture.std(), 0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)


def other_exposure(pixels, gain, seed):
    """The same part, darker or brighter, with shading, noise and a frame cut a little differently."""
    rng = np.random.default_rng(seed)
    shading = np.linspace(0.8, 1.2, pixels.shape[1])[None, :, None]
    shot = pixels * gain * shading + rng.normal(0, 3, pixels.shape)
    return np.clip(shot, 0, 255).astype(np.uint8)[1:-1, 1:]


def groups(images):
    return group_shots([fingerprint(i) for i in images], [(i.shape[1], i.shape[0]) for i in images])


def test_exposures_of_one_part_are_one_group_and_other_parts_are_not():
    parts = [part(seed) for seed in range(8)]
    found = groups([*parts, other_exposure(parts[2], 0.5, 1), other_exposure(parts[5], 1.3, 2)])
    assert found[8] == found[2] and found[9] == found[5]
    assert len(set(found)) == 8


def test_what_all_parts_share_does_not_make_them_one():
    shared = cv2.circle(np.full((160, 160, 3), 60, np.uint8), (80, 80), 50, (200, 200, 200), -1)
    images = [np.where(shared > 100, part(seed), shared) for seed in range(8)]
    assert len(set(groups(images))) == 8


def test_other_sizes_are_other_parts():
    one = part(0)
    images = [one, cv2.resize(one, (80, 160)), part(1), part(2)]
    assert len(set(groups(images))) == 4


def test_flat_and_few_images_are_no_groups():
    flat = np.full((50, 50, 3), 90, np.uint8)
    assert groups([flat, flat]) == [0, 1]
    assert groups([]) == []
    assert len(set(groups([flat, part(0), part(1)]))) == 3
