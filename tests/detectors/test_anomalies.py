import numpy as np
import pytest
from tiny_detector import plain_scene, tiny_detector

from pipeline_tasks.detectors.anomalies import AnomalyWindows, calm, noise_mask, simulate
from pipeline_tasks.detectors.windows import Mix

DEFECT = np.s_[20:24, 20:24]
PARAMS = tiny_detector(draem={"batch_size": 8})
REAL_ONLY = {"pit": Mix((), 0.3, "none")}


def noisy(grey, defect=None):
    scene = plain_scene(grey, (64, 64), defect)
    scene.pixels[:] += np.random.default_rng(grey).integers(0, 5, scene.pixels.shape, dtype=np.uint8)
    return scene


REAL = {"pit": [noisy(20, DEFECT)], "good": [noisy(10)]}
MADE = [noisy(200, DEFECT)]


def drawn(real, mixes, count=30):
    """Return batches of 8 windows as one."""
    windows, rng = AnomalyWindows(real, mixes, PARAMS), np.random.default_rng(0)
    return [np.concatenate(arrays) for arrays in zip(*(windows.draw(rng) for _ in range(count)), strict=True)]


def levels(clean):
    return np.median(clean, axis=(1, 2, 3))


def test_windows_are_normal_or_changed_exactly_where_the_label_says():
    seen, clean, labels, hidden = drawn(REAL, REAL_ONLY)
    assert seen.shape == clean.shape == (240, 3, 32, 32)
    assert labels.shape == hidden.shape == (240, 1, 32, 32)
    changed = (seen != clean).any(axis=1, keepdims=True)
    assert not (changed & (labels == 0)).any()
    assert changed[labels > 0].mean() > 0.9
    assert 0.3 < (labels.max(axis=(1, 2, 3)) > 0).mean() < 0.6
    assert not hidden.any()


def test_no_real_defect_is_learned_from_where_there_are_normal_images():
    _, clean, _, _ = drawn(REAL, REAL_ONLY)
    assert levels(clean).max() < 16


def test_without_normal_images_windows_away_from_defects_are():
    _, clean, _, hidden = drawn({"pit": REAL["pit"]}, REAL_ONLY)
    assert levels(clean).min() > 16
    assert not hidden.any()


def test_a_share_of_the_windows_is_replaced_by_synthetic_ones_whose_normal_state_is_not_known():
    seen, clean, labels, hidden = drawn(REAL, {"pit": Mix(MADE, 0.3, "none")})
    synthetic = levels(clean) > 100
    assert 0.2 < synthetic.mean() < 0.4
    assert np.array_equal(labels[synthetic], hidden[synthetic])
    assert np.array_equal(seen[synthetic], clean[synthetic])
    assert hidden[synthetic].any(axis=(1, 2, 3)).all()
    assert not hidden[~synthetic].any()


def test_arms_of_one_seed_share_the_windows_that_are_not_replaced():
    alone, mixed = drawn(REAL, REAL_ONLY), drawn(REAL, {"pit": Mix(MADE, 0.3, "none")})
    kept = levels(mixed[1]) < 100
    assert np.array_equal(mixed[0][kept], alone[0][kept])
    assert np.array_equal(mixed[2][kept], alone[2][kept])


def test_synthetic_alone_shows_nothing_else_where_there_are_no_normal_images():
    _, clean, _, _ = drawn({"pit": REAL["pit"]}, {"pit": Mix(MADE, 1.0, "none")})
    assert levels(clean).min() > 100


def test_an_image_that_is_nearly_all_defect_gives_the_window_with_least_of_it():
    scene = plain_scene(5, (64, 64), np.s_[0:64, 0:60])
    window = calm(scene, 32, np.random.default_rng(0))
    assert 0.5 < window[1].mean() < 1


@pytest.mark.parametrize("side_px", [32, 64, 256])
def test_noise_masks_are_of_many_sizes_and_rarely_empty(side_px):
    areas = np.array([noise_mask(side_px, np.random.default_rng(seed)).mean() for seed in range(60)])
    assert areas.max() < 0.6
    assert (areas > 0).mean() > 0.6
    assert len(np.unique(areas)) > 30


def test_the_texture_shows_through_in_part():
    clean, texture = np.zeros((64, 64, 3), np.float32), np.ones((64, 64, 3), np.float32)
    made = [simulate(clean, texture, np.random.default_rng(seed)) for seed in range(40)]
    opacities = [seen[label].mean() for seen, label in made if label.any()]
    assert 0.1 <= min(opacities) < 0.3
    assert 0.8 < max(opacities) <= 1.0
    assert all((seen[~label] == 0).all() for seen, label in made)
