import numpy as np
import pytest
import torch
from settings import small_detector

from pipeline_tasks.quality.detector import build_network, describe_detector, score_map, train_detector
from pipeline_tasks.quality.metrics import count_scores, pixel_scores
from pipeline_tasks.quality.windows import Scene

PARAMS = small_detector()

pytestmark = pytest.mark.usefixtures("one_thread")


def noisy_scene(seed=0, shape=(50, 70)):
    """Grey noise with two dark spots."""
    rng = np.random.default_rng(seed)
    pixels, mask = rng.integers(100, 160, (*shape, 3), dtype=np.uint8), np.zeros(shape, bool)
    mask[10:16, 12:18] = mask[33:37, 50:60] = True
    pixels[mask] -= 60
    return Scene(pixels, mask, float(pixels.mean()), float(pixels.std()))


def weights(network):
    return [tensor.clone() for tensor in network.state_dict().values()]


def same(left, right):
    return all(torch.equal(a, b) for a, b in zip(weights(left), weights(right), strict=True))


def test_it_learns_one_image_by_heart():
    scene = noisy_scene()
    network = train_detector([scene], [], PARAMS.model_copy(update={"steps": 50}), 0, lambda: None)
    assert pixel_scores(count_scores(score_map(network, scene), scene.mask))["pixel_ap"] > 0.9


def test_an_untrained_one_knows_nothing():
    scene = noisy_scene()
    network = build_network(PARAMS.features, 0).eval()
    assert pixel_scores(count_scores(score_map(network, scene), scene.mask))["pixel_ap"] < 0.5


@pytest.mark.parametrize("synthetic", [[], [noisy_scene(1)] * 5])
def test_the_number_of_optimiser_steps_does_not_depend_on_the_data(monkeypatch, synthetic):
    taken, step = [], torch.optim.AdamW.step
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda *a, **k: taken.append(1) or step(*a, **k))
    advanced = []
    train_detector([noisy_scene()], synthetic, PARAMS, 0, lambda: advanced.append(1))
    assert len(taken) == len(advanced) == PARAMS.steps


def test_equal_arguments_give_equal_weights_whatever_the_global_random_state():
    first = train_detector([noisy_scene()], [], PARAMS, 5, lambda: None)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    assert same(first, train_detector([noisy_scene()], [], PARAMS, 5, lambda: None))
    assert torch.equal(before, torch.get_rng_state())


def test_the_seed_decides_where_training_starts():
    assert same(build_network([8] * 5, 1), build_network([8] * 5, 1))
    assert not same(build_network([8] * 5, 1), build_network([8] * 5, 2))


def test_building_it_prints_nothing(capsys):
    build_network([8] * 5, 0)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("shape", [(16, 16), (33, 47), (5, 70)])
def test_a_score_map_has_the_size_of_its_image(shape):
    scene = Scene(np.zeros((*shape, 3), np.uint8), np.zeros(shape, bool), 0.0, 1.0)
    logits = score_map(build_network([8] * 5, 0).eval(), scene)
    assert logits.shape == shape
    assert logits.dtype == np.float32


def test_the_description_says_what_was_trained_and_how():
    found = describe_detector(PARAMS)
    assert found["network"] == "MONAI BasicUNet"
    assert (found["steps"], found["window_px"], found["device"]) == (2, 32, "cpu")
    assert found["precision"] in {"float32", "bfloat16"}
