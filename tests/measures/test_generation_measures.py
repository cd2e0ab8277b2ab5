import math

import pytest
import torch
from tiny_clip import save_tiny_clip
from tiny_features import as_input, noise_views, save_alexnet, tiny_resnet

from pipeline_tasks.measures.features import clip_network, product_network
from pipeline_tasks.measures.generation import generation_measures
from pipeline_tasks.measures.imagenet import alexnet_network

pytestmark = pytest.mark.usefixtures("one_thread")
MEASURES = ["kid", "fid", "is", "perceptual", "ic_perceptual", "nearest_base", "closer_to_base"]


@pytest.fixture(scope="module")
def network():
    return product_network(tiny_resnet(), "plate", as_input)


def test_every_measure_carries_the_network_s_name(network):
    base = noise_views(20, seed=1)
    values, reasons = generation_measures(network, noise_views(30), base, base, seed=0)
    assert list(values) == [f"{measure}_resnet10_plate" for measure in MEASURES]
    assert all(math.isfinite(value) for value in values.values())
    assert reasons == {}


def test_more_alike_is_nearer(network):
    real = noise_views(24, seed=1, low=80, high=160)
    like, unlike = (
        generation_measures(network, noise_views(24, 2, low, high), real, real, seed=0)[0]
        for low, high in ((80, 160), (200, 250))
    )
    for measure in ("kid", "fid"):
        assert like[f"{measure}_resnet10_plate"] < unlike[f"{measure}_resnet10_plate"]


def test_copies_are_near_and_not_diverse(network):
    base = noise_views(5, seed=1)
    values, _ = generation_measures(network, base.repeat(6, axis=0), noise_views(20, seed=2), base, seed=0)
    assert values["ic_perceptual_resnet10_plate"] == pytest.approx(0, abs=1e-5)
    assert values["nearest_base_resnet10_plate"] == pytest.approx(0, abs=1e-3)
    assert values["closer_to_base_resnet10_plate"] == 1
    assert values["perceptual_resnet10_plate"] > 0.01


def test_measures_that_do_not_apply_are_none_with_a_reason(network):
    few = noise_views(5, seed=1)
    values, reasons = generation_measures(network, noise_views(30), few, few, seed=0)
    assert [name for name, value in values.items() if value is None] == list(reasons) == ["fid_resnet10_plate"]
    assert "there are 30 generated, 5 real" in reasons["fid_resnet10_plate"]


@pytest.mark.parametrize(
    "made, known, learned, left",
    [
        (0, 20, 20, []),
        (20, 0, 20, ["is", "perceptual", "ic_perceptual", "nearest_base", "closer_to_base"]),
        (20, 20, 0, ["kid", "fid", "is", "perceptual"]),
    ],
)
def test_without_views_of_a_kind_what_needs_them_is_none(network, made, known, learned, left):
    views = (noise_views(count, seed) for seed, count in enumerate((made, known, learned)))
    values, reasons = generation_measures(network, *views, seed=0)
    assert [name for name, value in values.items() if value is not None] == [f"{one}_resnet10_plate" for one in left]
    assert set(reasons) == {name for name, value in values.items() if value is None}


def test_equal_arguments_give_equal_measures(network):
    sets = (noise_views(130), noise_views(110, seed=1), noise_views(9, seed=2))
    first, again, other = (generation_measures(network, *sets, seed=seed)[0] for seed in (1, 1, 2))
    assert first == again
    assert [name for name in first if first[name] != other[name]] == ["kid_resnet10_plate"]


def test_clip_has_neither_classes_nor_layers(tmp_path):
    clip = clip_network(str(save_tiny_clip(tmp_path / "tiny")), "evaluate.networks", torch.device("cpu"))
    values, reasons = generation_measures(clip, noise_views(30), noise_views(20, 1), noise_views(9, 2), seed=0)
    assert set(reasons) == {"is_clip_tiny", "perceptual_clip_tiny", "ic_perceptual_clip_tiny"}
    assert values["kid_clip_tiny"] is not None


def test_only_lpips_own_network_and_weights_give_lpips(tmp_path):
    file = save_alexnet(tmp_path / "alexnet.safetensors", learned=True)
    alexnet = alexnet_network(str(file), "evaluate.networks", torch.device("cpu"))
    sets = (noise_views(8, side=64), noise_views(6, 1, side=64), noise_views(3, 2, side=64))
    values, _ = generation_measures(alexnet, *sets, seed=0)
    assert values["ic_lpips_alexnet_imagenet"] > 0
    assert values["lpips_alexnet_imagenet"] > 0
    assert not any("perceptual" in name for name in values)
