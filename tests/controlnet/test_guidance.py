from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from settings import settings
from tiny_base import save_tiny_pipeline

from pipeline_tasks.controlnet.guidance import GuidedDenoiser
from pipeline_tasks.controlnet.network import known_latents, make_control
from pipeline_tasks.controlnet.sampling import Scene, batch_of
from pipeline_tasks.diffusion.base_model import open_pipeline
from pipeline_tasks.diffusion.blending import draw_noise

TIME = 601


def controls(**changes):
    return settings(generate={"controlnet": changes}).generate.controlnet


@cache
def weights(in_channels):
    folder = TemporaryDirectory()
    save_tiny_pipeline(Path(folder.name), in_channels=in_channels)
    return folder


def networks(in_channels=4):
    """A random base and a ControlNet that is not silent."""
    base = open_pipeline(Path(weights(in_channels).name), "")
    control = make_control(base, seed=0).eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for layer in [*control.controlnet_down_blocks, control.controlnet_mid_block]:
            torch.nn.init.normal_(layer.weight, std=0.1)
    return base, control


def scene(base, prompt="crack", seed=0):
    mask = torch.zeros(1, 64, 64)
    mask[:, 20:30, 12 + 8 * seed : 24 + 8 * seed] = 1
    cells = torch.nn.functional.max_pool2d(mask, 4)
    pixels = draw_noise(seed, (1, 3, 64, 64)).clamp(-1, 1)
    known = known_latents(base, pixels, mask[None])[0] if base.inpaints else None
    normal = base.encode(pixels)[0]
    noise, reference = draw_noise(seed + 50, (4, 16, 16)), draw_noise(seed + 90, (4, 16, 16))
    return Scene(normal, cells, cells, noise, base.embed([prompt])[0], mask.expand(3, -1, -1), reference, known)


def predict(base, control, params, scenes, rows=None):
    batch = batch_of(scenes, len(scenes))
    rows = torch.ones_like(batch.mask) if rows is None else rows
    return GuidedDenoiser(base, control, params).condition(batch)(batch.noise, TIME, rows)


def plain(base, control, scenes, prompts, scale=1.0):
    """The same from the networks directly."""
    batch = batch_of(scenes, len(scenes))
    text, times = base.embed(prompts), torch.full((len(scenes),), TIME)
    down, middle = control(batch.noise, times, text, batch.control, conditioning_scale=scale, return_dict=False)
    seen = batch.noise if batch.known is None else torch.cat([batch.noise, batch.known], dim=1)
    residuals = {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}
    return base.unet(seen, times, text, **residuals).sample


@pytest.mark.parametrize("in_channels", [4, 9])
@torch.no_grad()
def test_without_guidance_it_is_the_controlled_unet(in_channels):
    base, control = networks(in_channels)
    scenes, prompts = [scene(base, "crack", 0), scene(base, "pit", 1)], ["crack", "pit"]
    expected = plain(base, control, scenes, prompts, scale=0.5)
    result = predict(base, control, controls(control_scale=0.5, sae={"enabled": False}), scenes)
    assert torch.allclose(result, expected, atol=1e-5)
    assert not torch.allclose(result, plain(base, control, scenes, prompts, scale=0.0), atol=1e-3)


@pytest.mark.parametrize("scale", [1.0, 7.5])
@torch.no_grad()
def test_guidance_moves_from_the_empty_prompt_through_the_prompt(scale):
    base, control = networks()
    scenes = [scene(base, "crack", 0), scene(base, "pit", 1)]
    prompted, empty = (plain(base, control, scenes, prompts) for prompts in (["crack", "pit"], ["", ""]))
    result = predict(base, control, controls(guidance_scale=scale, sae={"enabled": False}), scenes)
    assert torch.allclose(result, empty + scale * (prompted - empty), atol=1e-4)


@torch.no_grad()
def test_both_halves_of_guidance_are_weighed():
    params = {"sae": {"enabled": True}}
    base, control = networks()
    scenes = [scene(base, "", 0)]
    rows = 1 + 3 * scenes[0].mask[None]
    unweighed = plain(base, control, scenes, [""])
    unguided = predict(base, control, controls(**params), scenes, rows)
    assert not torch.allclose(unguided, unweighed, atol=1e-3)
    base, control = networks()
    guided = predict(base, control, controls(guidance_scale=4.0, **params), scenes, rows)
    assert torch.allclose(guided, unguided, atol=1e-4)  # e(prompt) = e(empty): equal only if both see the weights


def test_without_sae_the_attention_is_diffusers_own():
    from diffusers.models.attention_processor import AttnProcessor2_0

    base, control = networks()
    GuidedDenoiser(base, control, controls(sae={"enabled": False}))
    assert all(type(processor) is AttnProcessor2_0 for processor in base.unet.attn_processors.values())


def test_compiling_is_asked_for_once_and_for_fixed_shapes(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda network, **options: compiled.append((network, options)) or network)
    base, control = networks()
    GuidedDenoiser(base, control, controls(compile=True))
    assert compiled == [(base.unet, {"dynamic": False}), (control, {"dynamic": False})]
    GuidedDenoiser(base, control, controls(compile=False))
    assert len(compiled) == 2
