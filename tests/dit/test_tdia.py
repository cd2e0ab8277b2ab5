from dataclasses import replace

import pytest
import torch
from diffusers import DiTTransformer2DModel
from tiny_dit import random_texts, tiny_tdia

from pipeline_tasks.dit.blocks import cross_attend
from pipeline_tasks.dit.tdia import TDIA
from pipeline_tasks.dit.texts import PartText

TIMES = torch.tensor([3, 500, 999])
XL_2 = {"sample_size": 32, "in_channels": 4, "patch_size": 2, "num_attention_heads": 16, "attention_head_dim": 72}


@pytest.fixture(scope="module")
def tdia():
    return tiny_tdia(blocks=(2, 2, 1))


@pytest.fixture(scope="module")
def latents():
    return torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(1))


def rows_of(text, rows):
    return PartText(text.embedding[rows], text.tokens[rows])


@torch.no_grad()
def test_cross_attention_is_diffusers_own_and_the_share_is_that_of_the_names_tokens(tdia):
    attn, texts = tdia.transformer_blocks[2].attn2, random_texts(3)
    hidden = torch.randn(3, 16, 16, generator=torch.Generator().manual_seed(2))
    mask = torch.zeros(3, 1, 6).masked_fill(~texts.defect.tokens[:, None], -1e9)
    query, key = (attn.head_to_batch_dim(x) for x in (attn.to_q(hidden), attn.to_k(texts.defect.embedding)))
    scores = attn.get_attention_scores(query, key, mask.repeat_interleave(attn.heads, dim=0))
    expected = attn(hidden, encoder_hidden_states=texts.defect.embedding, attention_mask=mask)
    attended, shares = cross_attend(attn, hidden, texts.defect, texts.name, slice(1, 3))
    torch.testing.assert_close(attended, expected)
    torch.testing.assert_close(shares, scores.view(3, attn.heads, 16, 6)[1:, :, :, 2:4].sum(-1))


@torch.no_grad()
@pytest.mark.parametrize("rows", [slice(0, 2), slice(1, 2), slice(2, None), slice(None)])
def test_rows_that_record_maps_are_computed_as_the_fused_ones(tdia, latents, rows):
    texts = random_texts(3)
    fused, whole = tdia(latents, TIMES, texts), tdia(latents, TIMES, texts, mapped=slice(0, 3))
    recorded = tdia(latents, TIMES, texts, mapped=rows)
    assert fused.maps is None
    assert recorded.maps.shape == (len(latents[rows]), 2 * 2, 4, 4)  # defect blocks x heads, latents / patch
    torch.testing.assert_close(recorded.sample, fused.sample, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(recorded.maps, whole.maps[rows])


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_to_all_tokens_sums_to_one_in_any_precision(tdia, latents, dtype):
    texts = random_texts(3)
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        of_name, of_the_rest, of_all = (
            tdia(latents, TIMES, replace(texts, name=name), mapped=slice(0, 3)).maps
            for name in (texts.name, ~texts.name, torch.ones_like(texts.name))
        )
    assert of_name.dtype == torch.float32
    torch.testing.assert_close(of_all, torch.ones_like(of_all))
    torch.testing.assert_close(of_name + of_the_rest, of_all)
    assert 0 < of_name.min() < of_name.max() < 1


@torch.no_grad()
@pytest.mark.parametrize("mapped", [None, slice(0, 3)])
def test_padding_gets_no_attention(tdia, latents, mapped):
    texts = random_texts(3)
    other = {
        part: replace(text, embedding=text.embedding.masked_fill(~text.tokens[..., None], 1e3))
        for part, text in (("background", texts.background), ("defect", texts.defect), ("fusion", texts.fusion))
    }
    plain, changed = (tdia(latents, TIMES, given, mapped=mapped) for given in (texts, replace(texts, **other)))
    torch.testing.assert_close(changed.sample, plain.sample)
    padding = replace(texts, name=~texts.defect.tokens)
    assert tdia(latents, TIMES, padding, mapped=slice(0, 3)).maps.max() == 0


@torch.no_grad()
def test_what_continues_after_the_background_part_is_as_if_it_had_gone_through_alone(tdia, latents):
    rows, texts = torch.tensor([0, 2, 2, 1, 0]), random_texts(5)
    background = random_texts(3, seed=1).background
    shared = tdia(latents, TIMES, replace(texts, background=background), continued=rows, mapped=slice(1, 4))
    alone = replace(texts, background=rows_of(background, rows))
    expected = tdia(latents[rows], TIMES[rows], alone, mapped=slice(1, 4))
    torch.testing.assert_close(shared.sample, expected.sample, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(shared.maps, expected.maps)


def outputs_by_block(tdia, latents, texts):
    """Return the output of every block, by part."""
    outputs = []
    hooks = [block.register_forward_hook(lambda *of: outputs.append(of[-1][0])) for block in tdia.transformer_blocks]
    tdia(latents, TIMES, texts)
    for hook in hooks:
        hook.remove()
    return {"background": outputs[:2], "defect": outputs[2:4], "fusion": outputs[4:]}


def test_a_text_reaches_its_own_part_and_those_after_it_alone(tdia, latents):
    """Disentanglement: a part's output has no gradient with respect to the text of a later part."""
    texts = random_texts(3)
    reached = {}
    for part in ("background", "defect", "fusion"):
        text = getattr(texts, part)
        embedding = text.embedding.clone().requires_grad_()
        given = replace(texts, **{part: replace(text, embedding=embedding)})
        blocks = outputs_by_block(tdia, latents, given)
        for other, outputs in blocks.items():
            found = [torch.autograd.grad(y.sum(), embedding, retain_graph=True, allow_unused=True)[0] for y in outputs]
            reached[part, other] = [grad is not None and bool(grad.abs().max() > 1e-6) for grad in found]
    assert reached == {
        ("background", "background"): [True, True],
        ("background", "defect"): [True, True],
        ("background", "fusion"): [True],
        ("defect", "background"): [False, False],
        ("defect", "defect"): [True, True],
        ("defect", "fusion"): [True],
        ("fusion", "background"): [False, False],
        ("fusion", "defect"): [False, False],
        ("fusion", "fusion"): [True],
    }


def test_the_defects_text_is_read_by_the_defect_blocks_alone(latents):
    """Its gradient is there if no other block reads any text, and gone if they alone read."""
    texts, leaf = random_texts(3), random_texts(3).defect.embedding.requires_grad_()
    given = replace(texts, defect=replace(texts.defect, embedding=leaf))

    def gradient(silenced):
        tdia = tiny_tdia(blocks=(2, 2, 1))
        for number in silenced:
            torch.nn.init.zeros_(tdia.transformer_blocks[number].attn2.to_v.weight)
        return torch.autograd.grad(tdia(latents, TIMES, given).sample.sum(), leaf)[0].abs().max()

    assert gradient([0, 1, 4]) > 1e-3
    assert gradient([2, 3]) < 1e-6


def test_gradient_checkpointing_gives_the_same_gradients(latents):
    texts, gradients = random_texts(3), []
    for checkpointing in (False, True):
        tdia = tiny_tdia()
        if checkpointing:
            tdia.enable_gradient_checkpointing()
        sample, maps = tdia(latents, TIMES, texts, mapped=slice(0, 2))
        (sample.square().sum() + maps.square().sum()).backward()
        gradients.append({name: weight.grad for name, weight in tdia.named_parameters()})
    assert gradients[0].keys() == gradients[1].keys()
    assert all(torch.equal(gradients[0][name], gradients[1][name]) for name in gradients[0])
    assert all(grad.abs().max() > 0 for grad in gradients[0].values())


def test_it_saves_and_loads_as_diffusers_models_do(tdia, latents, tmp_path):
    tdia.save_pretrained(tmp_path, safe_serialization=True)
    loaded = TDIA.from_pretrained(tmp_path, use_safetensors=True)
    texts = random_texts(3)
    with torch.no_grad():
        assert torch.equal(loaded(latents, TIMES, texts).sample, tdia(latents, TIMES, texts).sample)
    assert [len(part) for part in loaded.parts] == [2, 2, 1]


@torch.no_grad()
def test_latents_of_another_size_and_no_fusion_part(latents):
    output = tiny_tdia(blocks=(1, 2, 0))(torch.randn(3, 4, 12, 12), TIMES, random_texts(3), mapped=slice(0, 1))
    assert output.sample.shape == (3, 4, 12, 12)
    assert output.maps.shape == (1, 4, 6, 6)


def test_the_xl_2_size_has_dits_weights_and_its_own_cross_attention():
    with torch.device("meta"):
        parts = {"background_layers": 10, "defect_layers": 10, "fusion_layers": 8}
        tdia = TDIA(**XL_2, cross_attention_dim=768, **parts)
        dit = DiTTransformer2DModel(**XL_2, out_channels=8, num_layers=28, num_embeds_ada_norm=1000)
    counts = [sum(weight.numel() for weight in network.parameters()) for network in (tdia, dit)]
    width, text = 1152, 768
    cross = 2 * width + 2 * (width + 1) * width + 2 * text * width + 2 * width
    assert counts[0] == counts[1] - 28 * 1001 * width - (width + 1) * 16 + 28 * cross
    # 675M (DiT-XL/2), a time embedding in each block rather than one, the texts.
    assert counts[0] / 1e6 == pytest.approx(675 + 27 * 1.62 + 28 * cross / 1e6, rel=0.01)
