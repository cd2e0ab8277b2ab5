import numpy as np
import pytest

from pipeline_tasks.detectors.policies import BRIGHTNESS, augment

POLICIES = ["none", "flip", "classic"]


def view(side=32):
    """A bright rectangle in one corner, and its mask."""
    mask = np.zeros((side, side), bool)
    mask[2:12, 3:7] = True
    return np.repeat(mask[..., None], 3, axis=2).astype(np.float32) * 4, mask


def variants(policy, count=60):
    image, mask = view()
    return [augment(policy, image, mask, np.random.default_rng(seed)) for seed in range(count)]


def test_none_changes_nothing():
    image, mask = view()
    found, found_mask = augment("none", image, mask, np.random.default_rng(0))
    assert np.array_equal(found, image)
    assert np.array_equal(found_mask, mask)


@pytest.mark.parametrize("policy", POLICIES)
def test_mask_and_image_stay_aligned(policy):
    for image, mask in variants(policy):
        background = np.median(image)
        bright = image[..., 0] > (background + image.max()) / 2
        assert (bright & mask).sum() / (bright | mask).sum() > 0.75
        assert mask.dtype == bool


@pytest.mark.parametrize("policy", POLICIES)
def test_a_variant_depends_on_its_stream_alone_and_leaves_the_original(policy):
    image, mask = view()
    first, again = (augment(policy, image, mask, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert np.array_equal(image, view()[0])


def test_flips_are_all_four():
    corners = {tuple(np.argwhere(mask).mean(axis=0) > 16) for _, mask in variants("flip")}
    assert len(corners) == 4
    assert len({mask.tobytes() for _, mask in variants("flip")}) == 4


def test_classic_turns_scales_and_changes_light():
    made = variants("classic", 200)
    areas = np.array([mask.sum() for _, mask in made]) / 40
    assert 0.55 < areas.min() < 0.75
    assert 1.3 < areas.max() < 1.7
    upright = [np.ptp(np.argwhere(mask), axis=0) for _, mask in made]
    assert 0.3 < np.mean([height > width for height, width in upright]) < 0.7
    levels = np.array([np.median(image) for image, _ in made])
    assert np.abs(levels).max() <= BRIGHTNESS
    contrasts = np.array([image.max() - np.median(image) for image, _ in made]) / 4
    assert contrasts.min() < 0.85 < 1.2 < contrasts.max()
