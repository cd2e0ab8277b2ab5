"""Which scenes the windows of an arm are of: a scene is known by its grey."""

import numpy as np
import pytest
from tiny_detector import plain_scene, tiny_detector

from pipeline_tasks.detectors.windows import Mix, TrainingWindows
from pipeline_tasks.errors import DataError

PARAMS = tiny_detector(batch_size=8)
PIT, CRACK = np.s_[5:8, 5:8], np.s_[40:42, 30:33]
REAL = {"pit": [plain_scene(20, defect=PIT)], "good": [plain_scene(10)]}
MADE = [plain_scene(30, defect=CRACK)]


def batches(real, mixes, count=40, seed=0, params=PARAMS):
    """Return images [count, B, 3, S, S] and masks of `count` batches."""
    windows, rng = TrainingWindows(real, mixes, params), np.random.default_rng(seed)
    return tuple(np.stack(arrays) for arrays in zip(*(windows.draw(rng) for _ in range(count)), strict=True))


def greys(images):
    return np.rint(images.mean(axis=(2, 3, 4))).astype(int)


def share(found, grey):
    return float((found == grey).mean())


def test_half_of_a_batch_is_near_a_defect_and_half_anywhere_on_the_base_images():
    images, masks = batches(REAL, {"pit": Mix((), 0.0, "flip")})
    assert images.shape == (40, 8, 3, 32, 32)
    assert masks.shape == (40, 8, 1, 32, 32)
    assert images.dtype == masks.dtype == np.float32
    assert masks[:, :4].any(axis=(2, 3, 4)).all()
    assert share(greys(images)[:, :4], 20) == 1
    assert 0.35 < share(greys(images)[:, 4:], 10) < 0.65


@pytest.mark.parametrize("ratio", [0.0, 0.25, 0.75])
def test_the_ratio_is_the_synthetic_share_of_the_windows_near_a_defect(ratio):
    found = greys(batches(REAL, {"pit": Mix(MADE, ratio, "flip")})[0])
    assert abs(share(found[:, :4], 30) - ratio) < 0.1
    assert set(found[:, 4:].ravel()) == {10, 20}


def test_synthetic_alone_never_looks_at_a_real_defect_but_at_normal_images():
    found = greys(batches(REAL, {"pit": Mix(MADE, 1.0, "flip")})[0])
    assert set(found[:, :4].ravel()) == {30}
    assert set(found[:, 4:].ravel()) == {10, 30}


def test_each_defect_has_a_mix_of_its_own():
    real = REAL | {"crack": [plain_scene(40, defect=CRACK)]}
    found = greys(batches(real, {"pit": Mix(MADE, 1.0, "none"), "crack": Mix(MADE, 0.0, "flip")})[0])
    assert set(found.ravel()) == {10, 30, 40}


def test_defects_are_drawn_as_often_as_they_have_real_images_whatever_there_is_of_synthetic_ones():
    real = {"pit": [plain_scene(20, defect=PIT)] * 3, "crack": [plain_scene(40, defect=CRACK)]}
    found = greys(batches(real, {"pit": Mix((), 0.5, "none"), "crack": Mix(MADE * 50, 0.5, "none")})[0])
    assert 0.65 < share(found[:, :4], 20) < 0.85


def test_a_defect_without_pairs_is_learned_from_its_real_images_even_where_synthetic_alone_is_asked_for():
    found = greys(batches(REAL, {"pit": Mix((), 1.0, "flip")})[0])
    assert set(found[:, :4].ravel()) == {20}


def test_a_defect_without_real_images_is_learned_from_synthetic_ones():
    mixes = {"pit": Mix((), 0.0, "flip"), "crack": Mix(MADE, 0.5, "flip")}
    found = greys(batches(REAL, mixes)[0])
    assert 0.35 < share(found[:, :4], 30) < 0.65
    only = greys(batches({}, {"crack": Mix(MADE, 0.5, "flip")})[0])
    assert set(only.ravel()) == {30}


def test_pairs_that_are_not_asked_for_are_not_looked_at():
    assert 30 not in greys(batches(REAL, {"pit": Mix((), 0.0, "flip"), "crack": Mix(MADE, 0.0, "flip")})[0])


@pytest.mark.parametrize("real", [{"good": [plain_scene(10)]}, {"pit": [plain_scene(10)]}])
def test_without_any_defect_all_windows_are_normal(real):
    images, masks = batches(real, dict.fromkeys(real.keys() - {"good"}, Mix((), 0.0, "flip")), 3)
    assert set(greys(images).ravel()) == {10}
    assert not masks.any()


def test_without_normal_images_windows_anywhere_are_of_the_others():
    images, masks = batches({"pit": REAL["pit"]}, {"pit": Mix((), 0.0, "flip")})
    assert set(greys(images).ravel()) == {20}
    assert not masks[:, 4:].all(axis=(2, 3, 4)).any()


def test_nothing_to_learn_from_is_an_error():
    with pytest.raises(DataError, match="neither an image nor a pair"):
        TrainingWindows({"pit": [], "good": []}, {"pit": Mix((), 0.5, "flip")}, PARAMS)


def gradient(defect=None):
    scene = plain_scene(0, (64, 64), defect)
    scene.pixels[:] = np.arange(64, dtype=np.uint8)[:, None, None] + np.arange(64, dtype=np.uint8)[:, None]
    return scene


def rising(images):
    """Whether windows of a gradient show it as it is, along both axes."""
    return (images[..., -1, -1] > images[..., 0, 0]) & (images[..., 0, -1] > images[..., 0, 0])


def test_windows_are_varied_as_their_defects_mix_says():
    real = {"pit": [gradient(PIT)], "good": [gradient()]}
    plain = rising(batches(real, {"pit": Mix((), 0.0, "none")})[0])
    assert plain.all()
    flipped = rising(batches(real, {"pit": Mix((), 0.0, "flip")})[0])
    assert 0.15 < flipped[:, :4].mean() < 0.35
    assert 0.15 < flipped[:, 4:].mean() < 0.35


def test_normal_images_are_flipped_where_the_mixes_differ():
    real = {"pit": [gradient(PIT)], "good": [gradient()] * 50}
    mixes = {"pit": Mix((), 0.0, "none"), "crack": Mix((), 0.0, "classic")}
    found = rising(batches(real, mixes)[0])
    assert found[:, :4].all()
    assert found[:, 4:].mean() < 0.5


def test_arms_of_one_seed_differ_in_the_windows_they_have_to():
    real = {"pit": [gradient(PIT), gradient(CRACK)], "good": [gradient()]}
    made = [plain_scene(250, defect=CRACK)]
    alone, mixed, more = (batches(real, {"pit": Mix(made, r, "flip")}, 10)[0] for r in (0.0, 0.5, 0.8))
    synthetic, many = greys(mixed) == 250, greys(more) == 250
    assert np.array_equal(mixed[~synthetic], alone[~synthetic])
    assert 0 < synthetic.sum() < many.sum()
    assert many[synthetic].all()
