import numpy as np
import pytest
import torch
from settings import settings
from tiny_base import save_tiny_pipeline

from pipeline_tasks.controlnet.attention import RowWeights, WeighedCrossAttention, weigh_cross_attention, weight_map
from pipeline_tasks.diffusion.base_model import open_pipeline


def sae(**changes):
    return settings(generate={"controlnet": {"sae": changes}}).generate.controlnet.sae


def drawn(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, np.float32))


def square(size=8):
    mask = torch.zeros(2, 1, size, size)
    mask[0, 0, 2:5, 1:4] = 1
    mask[1, 0, 4:6, 4:8] = 1
    return mask


def naive_weights(reference, latents, mask, only_masked):
    """Eq. 7, one sample, cell by cell."""
    result = np.ones(mask.shape[1:])
    cells = [(y, x) for y in range(mask.shape[1]) for x in range(mask.shape[2]) if mask[0, y, x] or not only_masked]
    squared = (mask * (reference - latents)) ** 2
    score = {(y, x): np.mean(squared[:, y, x]) for y, x in cells}
    total = sum(np.exp(value) for value in score.values())
    for cell, value in score.items():
        result[cell] += mask.sum() * np.exp(value) / total
    return result


@pytest.mark.parametrize("softmax", ["masked", "all"])
def test_the_weights_are_those_of_equation_7_per_sample(softmax):
    reference, latents, mask = drawn(2, 4, 8, 8), drawn(2, 4, 8, 8, seed=1), square()
    weights = weight_map(reference, latents, mask, sae(softmax=softmax, cap=0.0))
    for sample in range(2):
        parts = (tensor[sample].double().numpy() for tensor in (reference, latents, mask))
        assert np.allclose(weights[sample, 0], naive_weights(*parts, only_masked=softmax == "masked"), atol=1e-5)


def test_the_default_leaves_the_background_alone_and_is_bounded():
    reference, latents, mask = drawn(2, 4, 8, 8) * 3, drawn(2, 4, 8, 8, seed=1), square()
    weights = weight_map(reference, latents, mask, sae())
    assert torch.equal(weights[mask == 0], torch.ones_like(weights[mask == 0]))
    assert weights.min() == 1 and weights.max() == 2
    uncapped = weight_map(reference, latents, mask, sae(cap=0.0))
    assert torch.allclose(uncapped.sum(dim=(1, 2, 3)), 64 + mask.sum(dim=(1, 2, 3)))


def test_an_empty_mask_weighs_everything_alike():
    weights = weight_map(drawn(1, 4, 8, 8), drawn(1, 4, 8, 8, seed=1), torch.zeros(1, 1, 8, 8), sae(cap=0.0))
    assert torch.equal(weights, torch.ones(1, 1, 8, 8))


def cross_attention():
    from diffusers.models.attention_processor import Attention

    torch.manual_seed(0)
    return Attention(query_dim=24, cross_attention_dim=10, heads=3, dim_head=8, bias=False).eval()


def naive_attention(attn, hidden, text, rows):
    """Eq. 8 as written: the weights multiply the rows of the attention matrix, head by head."""
    query, key, value = (layer(x) for layer, x in ((attn.to_q, hidden), (attn.to_k, text), (attn.to_v, text)))
    heads = []
    for q, k, v in zip(query.split(8, -1), key.split(8, -1), value.split(8, -1), strict=True):
        matrix = torch.softmax(q @ k.transpose(1, 2) / 8**0.5, dim=-1)
        heads.append((rows * matrix) @ v)
    return torch.cat(heads, dim=-1) @ attn.to_out[0].weight.T + attn.to_out[0].bias


@torch.no_grad()
def test_scaling_the_output_equals_naive_attention_with_scaled_rows():
    attn, hidden, text = cross_attention(), drawn(4, 64, 24), drawn(4, 5, 10, seed=1)
    weights = drawn(2, 1, 8, 8, seed=2).abs() * 5 + 1
    rows = RowWeights(levels=1)
    rows.set(torch.cat([weights] * 2))
    attn.set_processor(WeighedCrossAttention(rows))
    expected = naive_attention(attn, hidden, text, torch.cat([weights] * 2).reshape(4, 64, 1))
    assert attn.to_out[0].bias.abs().max() > 0
    assert (attn(hidden, text) - expected).abs().max() <= 1e-5


@torch.no_grad()
def test_weights_of_one_are_diffusers_own_attention():
    attn, hidden, text = cross_attention(), drawn(2, 64, 24), drawn(2, 5, 10, seed=1)
    plain = attn(hidden, text)
    rows = RowWeights(levels=1)
    rows.set(torch.ones(2, 1, 8, 8))
    attn.set_processor(WeighedCrossAttention(rows))
    assert torch.equal(attn(hidden, text), plain)


def test_coarser_layers_weigh_the_mean_of_their_cells():
    weights = drawn(2, 1, 6, 10)
    rows = RowWeights(levels=3)
    rows.set(weights)
    assert torch.equal(rows.of(60), weights.flatten(2).transpose(1, 2))
    assert torch.allclose(rows.of(15)[:, 7, 0], weights[:, 0, 2:4, 4:6].mean(dim=(1, 2)))
    assert rows.of(2 * 3).shape == (2, 6, 1)


@torch.no_grad()
def test_only_cross_attention_is_weighed_in_a_unet(tmp_path):
    unet = open_pipeline(save_tiny_pipeline(tmp_path), "").unet
    inputs = (drawn(2, 4, 16, 16), torch.tensor([5, 5]), drawn(2, 16, 16, seed=1))
    plain = unet(*inputs).sample
    before = dict(unet.attn_processors)
    rows = weigh_cross_attention(unet)
    changed = {name for name, processor in unet.attn_processors.items() if processor is not before[name]}
    assert changed == {name for name in before if "attn2" in name} and changed != set(before)
    rows.set(torch.ones(2, 1, 16, 16))
    assert torch.allclose(unet(*inputs).sample, plain, atol=1e-6)
    weights = torch.ones(2, 1, 16, 16)
    weights[1] = 3
    rows.set(weights)
    enhanced = unet(*inputs).sample
    assert torch.allclose(enhanced[0], plain[0], atol=1e-6) and not torch.allclose(enhanced[1], plain[1], atol=1e-3)
