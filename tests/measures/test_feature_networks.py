import numpy as np
import pytest
import torch
from tiny_clip import save_tiny_clip
from tiny_features import as_input, noise_views, tiny_resnet

from pipeline_tasks.errors import ModelError
from pipeline_tasks.measures.features import (
    BATCH,
    Activations,
    FeatureNetwork,
    appearance_of,
    clip_network,
    product_network,
    slug,
)

pytestmark = pytest.mark.usefixtures("one_thread")
KEY, CPU = "evaluate.networks", torch.device("cpu")


@torch.no_grad()
def test_the_product_s_network_gives_its_features_classes_and_layers():
    model, views = tiny_resnet(), noise_views(2 * BATCH + 3)
    network = product_network(model.train(), "metal plate", as_input)
    seen = network.look(views)
    whole = model(as_input(views), output_hidden_states=True)
    assert not model.training
    assert network.name == "resnet10_metal_plate"
    assert torch.allclose(seen.logits, whole.logits, atol=1e-5)
    assert torch.allclose(seen.features, whole.hidden_states[-1].mean((2, 3)), atol=1e-5)
    assert seen.appearance.shape == (len(views), 8 * 8 * 8 + 8 * 4 * 4 + 12 * 2 * 2 + 16)
    assert network.distance == "perceptual"


@pytest.mark.parametrize("kind, depths, name", [("basic", [3, 4, 6, 3], "34"), ("bottleneck", [3, 4, 6, 3], "50")])
def test_a_resnet_is_called_by_its_depth(kind, depths, name):
    model = tiny_resnet()
    model.config.layer_type, model.config.depths = kind, depths
    assert product_network(model, "plate", as_input).name == f"resnet{name}_plate"


@torch.no_grad()
def test_clip_gives_transformers_own_embedding(tmp_path):
    from PIL import Image
    from transformers import CLIPModel, CLIPVisionConfig

    folder = save_tiny_clip(tmp_path / "CLIP-tiny.v1")
    network = clip_network(str(folder), KEY, CPU)
    assert network.name == "clip_tiny_v1"
    view = noise_views(1, side=64)
    small = np.asarray(Image.fromarray(view[0]).resize((32, 32), Image.Resampling.BICUBIC), np.float32) / 255
    mean, deviation = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    pixels = torch.from_numpy(((small - mean) / deviation).transpose(2, 0, 1)[None].astype(np.float32))
    model = CLIPModel.from_pretrained(folder).eval()
    assert isinstance(model.config.vision_config, CLIPVisionConfig)
    expected = model.get_image_features(pixels).pooler_output.numpy()
    assert network.features(view) == pytest.approx(expected, abs=1e-5)
    assert network.look(view).logits is None


def test_an_absent_hub_model_is_named_with_its_parameter(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"evaluate\.networks = 'someone/clip'.*not in the cache"):
        clip_network("someone/clip", KEY, CPU)


def test_a_damaged_clip_is_an_error(tmp_path):
    folder = save_tiny_clip(tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="not a usable CLIP"):
        clip_network(str(folder), KEY, CPU)


def test_no_views_give_nothing():
    seen = product_network(tiny_resnet(), "plate", as_input).look(noise_views(0))
    assert (len(seen), seen.logits, seen.appearance) == (0, None, None)


def test_views_go_through_in_batches():
    sizes = []

    def activate(views):
        sizes.append(len(views))
        return Activations(torch.from_numpy(views.mean((1, 2))))

    views = noise_views(2 * BATCH + 1)
    assert FeatureNetwork("mean", activate).features(views) == pytest.approx(views.mean((1, 2)), rel=1e-6)
    assert sizes == [BATCH, BATCH, 1]


def test_a_perceptual_distance_is_that_of_zhang_et_al():
    """Equation 1, written out: mean over places of the weighted squared differences of unit features, layers added."""
    rng = np.random.default_rng(0)
    layers = [rng.normal(size=(2, 5, 6, 4)), rng.normal(size=(2, 3, 2, 2))]
    weights = [rng.uniform(size=5), rng.uniform(size=3)]
    expected = 0.0
    for layer, weight in zip(layers, weights, strict=True):
        first, second = layer / np.linalg.norm(layer, axis=1, keepdims=True)
        expected += (weight[:, None, None] * (first - second) ** 2).sum(0).mean()
    first, second = appearance_of([torch.from_numpy(layer) for layer in layers], [torch.from_numpy(w) for w in weights])
    assert float((first - second).square().sum()) == pytest.approx(expected, rel=1e-5)


def test_names_are_fit_for_a_measure():
    assert slug("openai/CLIP ViT-B/32 (laion.2b)") == "openai_clip_vit_b_32_laion_2b"
