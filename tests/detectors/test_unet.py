from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_detector import REAL_ONLY, base_scenes, blob_scene, plain_scene, pooled_ap, same_weights, tiny_detector

from pipeline_tasks.detectors.unet import Unet, build_unet, train_unet
from pipeline_tasks.detectors.windows import Mix

PARAMS = tiny_detector()
UNSEEN = [blob_scene(n) for n in range(50, 56)]

pytestmark = pytest.mark.usefixtures("one_thread")


def trained(real=None, mixes=REAL_ONLY, seed=0, **changes):
    return train_unet(real or base_scenes(), mixes, tiny_detector(**changes), seed, lambda: None)


def mislabelled(number):
    """An image whose mask is another one's, without the spots that it happens to share."""
    scene = blob_scene(number)
    return replace(scene, mask=blob_scene(number + 500).mask & ~scene.mask)


def test_it_finds_defects_of_images_that_it_has_not_seen():
    assert pooled_ap(trained(steps=40), UNSEEN) > 0.8


def test_an_untrained_one_knows_nothing():
    assert pooled_ap(Unet(build_unet(3, [8] * 5, 0).eval(), [8] * 5, 64), UNSEEN) < 0.4


def test_labels_that_are_wrong_teach_nothing():
    wrong = {"blob": [mislabelled(n) for n in range(12)], "good": base_scenes()["good"]}
    assert pooled_ap(trained(wrong, steps=40), UNSEEN) < 0.4


def test_it_learns_from_synthetic_scenes_alone():
    mixes = {"blob": Mix([blob_scene(n) for n in range(20, 26)], 1.0, "flip")}
    assert pooled_ap(trained({}, mixes, steps=40), UNSEEN) > 0.8


def test_equal_arguments_give_equal_weights_whatever_the_global_random_state():
    first = trained(seed=5)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    assert same_weights(first.network, trained(seed=5).network)
    assert torch.equal(before, torch.get_rng_state())
    assert not same_weights(first.network, trained(seed=6).network)


def test_the_seed_decides_where_training_starts():
    assert same_weights(build_unet(3, [8] * 5, 1), build_unet(3, [8] * 5, 1))
    assert not same_weights(build_unet(3, [8] * 5, 1), build_unet(3, [8] * 5, 2))


def test_building_it_prints_nothing(capsys):
    build_unet(3, [8] * 5, 0)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("shape", [(16, 16), (33, 47), (5, 70)])
def test_a_score_map_has_the_size_of_its_image(shape):
    logits = Unet(build_unet(3, [8] * 5, 0).eval(), [8] * 5, 64).score_map(plain_scene(9, shape))
    assert logits.shape == shape
    assert logits.dtype == np.float32


@pytest.mark.parametrize("real", [{"good": base_scenes()["good"]}, {"blob": base_scenes()["blob"]}])
def test_it_trains_without_defects_and_without_normal_images(real):
    assert np.isfinite(trained(real, REAL_ONLY).score_map(UNSEEN[0])).all()
