from typing import Any

import pytest
import torch
from diffusers import DiTTransformer2DModel
from settings import settings
from tiny_dit import random_texts, save_tiny_dit
from tiny_training import tiny_base

from pipeline_tasks.dit.initial import start, start_mask_head
from pipeline_tasks.errors import ConfigError, ModelError

TIMES = torch.tensor([3, 500, 999])


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_base(tmp_path_factory.mktemp("base"))


def own(**values: Any):
    small = {"blocks": [1, 2, 1], "heads": 2, "head_width": 8, "patch": 2}
    return settings(train={"dit": small | values}).train.dit


def saved_dit(folder, **options):
    save_tiny_dit(folder, **options)
    return DiTTransformer2DModel.from_pretrained(folder / "transformer", use_safetensors=True).eval()


@torch.no_grad()
@pytest.mark.parametrize("side", [8, 12])
@pytest.mark.parametrize("channels", [8, 4])
def test_it_starts_as_the_pretrained_dit_without_a_class_whatever_the_texts(base, tmp_path, channels, side):
    dit = saved_dit(tmp_path, out_channels=channels, classes=5)
    tdia = start(own(heads=3), base, side, dit, seed=1)
    latents = torch.randn(3, 4, side, side, generator=torch.Generator().manual_seed(2))
    no_class, some_class = (dit(latents, TIMES, torch.full((3,), number)).sample[:, :4] for number in (5, 2))
    for seed in (0, 1):
        torch.testing.assert_close(tdia(latents, TIMES, random_texts(3, seed=seed)).sample, no_class)
    assert not torch.allclose(some_class, no_class, atol=1e-3)
    assert tdia.config.num_attention_heads == 2


@torch.no_grad()
def test_from_nothing_it_predicts_zero_and_its_weights_are_of_the_seed_alone(base):
    state = torch.random.get_rng_state()
    first, again, other = (start(own(), base, 16, None, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not first(torch.randn(2, 4, 16, 16), TIMES[:2], random_texts(2)).sample.any()
    weights, same, others = (network.state_dict() for network in (first, again, other))
    assert all(torch.equal(weights[name], same[name]) for name in weights)
    assert not torch.equal(
        weights["transformer_blocks.3.ff.net.2.weight"], others["transformer_blocks.3.ff.net.2.weight"]
    )
    assert first.config.cross_attention_dim == 16
    assert [len(part) for part in first.parts] == [1, 2, 1]


def test_the_parts_must_have_all_blocks_of_the_pretrained_dit(base, tmp_path):
    with pytest.raises(ConfigError, match=r"train\.dit\.blocks \[1, 2, 1\] are 4 blocks, .* has 3"):
        start(own(), base, 8, saved_dit(tmp_path, layers=3), seed=1)


@pytest.mark.parametrize(
    ("config", "said"),
    [({"in_channels": 8}, "8 channels, .* 4"), ({"norm_elementwise_affine": True}, "'norm_elementwise_affine': True")],
)
def test_a_dit_of_other_latents_or_another_build_is_refused(base, tmp_path, config, said):
    with pytest.raises(ModelError, match=said):
        start(own(), base, 8, saved_dit(tmp_path, **config), seed=1)


def test_patches_must_divide_the_latents(base):
    with pytest.raises(ConfigError, match=r"latents of 15 cells a side, which patches of 2 do not divide"):
        start(own(), base, 15, None, seed=1)


@torch.no_grad()
def test_a_mask_head_starts_from_the_empty_mask(base):
    tdia = start(own(), base, 16, None, seed=1)
    maps = tdia(torch.randn(2, 4, 16, 16), TIMES[:2], random_texts(2), mapped=slice(0, 2)).maps
    features = start_mask_head(tdia, base, seed=1)(maps)
    empty = base.encode(torch.full((1, 3, 64, 64), -1.0)).mean(dim=(2, 3))
    torch.testing.assert_close(features, empty[:, :, None, None].expand(2, 4, 16, 16))
