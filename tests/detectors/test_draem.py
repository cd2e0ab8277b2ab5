import numpy as np
import pytest
import torch
from tiny_detector import REAL_ONLY, base_scenes, blob_scene, plain_scene, pooled_ap, same_weights, tiny_detector

from pipeline_tasks.detectors.draem import DraemNetwork, draem_loss, train_draem
from pipeline_tasks.detectors.windows import Mix

UNSEEN = [blob_scene(n) for n in range(50, 56)]

pytestmark = pytest.mark.usefixtures("one_thread")


def trained(real=None, mixes=REAL_ONLY, seed=0, **own):
    return train_draem(real or base_scenes(), mixes, tiny_detector(draem=own), seed, lambda: None)


def test_it_finds_defects_without_having_seen_one():
    normal = {"good": base_scenes()["good"]}
    assert pooled_ap(trained(normal, {}, steps=120), UNSEEN) > 0.5


def test_synthetic_scenes_teach_it_what_defects_look_like():
    mixes = {"blob": Mix([blob_scene(n) for n in range(20, 26)], 0.5, "flip")}
    assert pooled_ap(trained(mixes=mixes, steps=80), UNSEEN) > 0.7


def test_an_untrained_one_knows_nothing():
    assert pooled_ap(trained(steps=1, learning_rate=1e-9), UNSEEN) < 0.4


def test_equal_arguments_give_equal_weights_whatever_the_global_random_state():
    first = trained(seed=5)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    assert same_weights(first.network, trained(seed=5).network)
    assert torch.equal(before, torch.get_rng_state())
    assert not same_weights(first.network, trained(seed=6).network)


@pytest.mark.parametrize("shape", [(16, 16), (33, 47), (5, 70)])
def test_a_score_map_has_the_size_of_its_image(shape):
    logits = trained(steps=1).score_map(plain_scene(9, shape))
    assert logits.shape == shape
    assert logits.dtype == np.float32


def test_it_trains_without_normal_images():
    assert np.isfinite(trained({"blob": base_scenes()["blob"]}).score_map(UNSEEN[0])).all()


def test_its_reconstruction_fills_a_defect_with_what_is_normal():
    network = trained({"good": base_scenes()["good"]}, {}, steps=80).network
    seen = 0.5 * torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    seen[:, :, 12:18, 12:18] = -3
    with torch.no_grad():
        found = network(seen)[:, 1:]
    assert float(found[:, :, 12:18, 12:18].mean()) > -1
    assert float(found.std()) > 0.1


def loss_of(given, clean, labels, hidden):
    return float(draem_loss(given, clean, labels, hidden))


def test_a_perfect_answer_costs_nothing_and_both_parts_count():
    clean = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    labels = torch.zeros(2, 1, 32, 32)
    labels[:, :, :8] = 1
    nowhere, sure = torch.zeros_like(labels), 40 * labels - 20
    right = torch.cat([sure, clean], 1)
    assert abs(loss_of(right, clean, labels, nowhere)) < 1e-5
    assert loss_of(torch.cat([-sure, clean], 1), clean, labels, nowhere) > 0.1
    assert loss_of(torch.cat([sure, clean.flip(2)], 1), clean, labels, nowhere) > 0.1


def test_where_the_normal_state_is_hidden_any_reconstruction_will_do():
    clean = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    hidden = torch.zeros(1, 1, 32, 32)
    hidden[:, :, 10:20, 10:20] = 1
    other = torch.where(hidden > 0, 9.0, clean)
    given = [torch.cat([torch.zeros_like(hidden), image], 1) for image in (clean, other)]
    known, unknown = (loss_of(given[1], clean, hidden, where) for where in (torch.zeros_like(hidden), hidden))
    assert unknown == loss_of(given[0], clean, hidden, hidden)
    assert known > unknown + 0.1


def test_it_is_the_sum_of_a_logit_and_a_reconstruction():
    network = DraemNetwork([8, 16], [8] * 5, 0).eval()
    images = torch.zeros(1, 3, 32, 32)
    with torch.no_grad():
        found = network(images)
        assert torch.equal(found[:, 1:], network.reconstruction(images))
    assert found.shape == (1, 4, 32, 32)
