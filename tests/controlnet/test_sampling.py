from dataclasses import replace

import numpy as np
import pytest
import torch
from settings import settings

from pipeline_tasks.controlnet.attention import weight_map
from pipeline_tasks.controlnet.sampling import Scene, batch_of, fuse_end, sample
from pipeline_tasks.diffusion.blending import draw_noise, draw_step_noise

STEPS = 5


def controls(**changes):
    plain = {"steps": STEPS, "blend": "end", "sae": {"enabled": False}}
    return settings(generate={"controlnet": plain | changes}).generate.controlnet


def scheduler(prediction_type="epsilon", steps=STEPS):
    from diffusers import DDIMScheduler

    made = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        steps_offset=1,
        clip_sample=False,
        set_alpha_to_one=False,
        prediction_type=prediction_type,
    )
    made.set_timesteps(steps)
    return made


def scene(number=0, side=8):
    mask = torch.zeros(1, side, side)
    mask[:, 2:5, 2 + number : 5 + number] = 1
    hole = torch.zeros(1, side, side)
    hole[:, 1:6, 1 + number : 6 + number] = 1
    normal, reference = draw_noise(100 + number, (4, side, side)), draw_noise(200 + number, (4, side, side))
    text, control = torch.zeros(3, 2), mask.expand(3, -1, -1)
    return Scene(normal, mask, hole, draw_noise(number, (4, side, side)), text, control, reference)


def linear(latents, time, weights):
    """A toy denoiser: linear in z_t."""
    return (0.3 + time / 2000) * latents + 0.1


def naive_ddim(noise, steps, prediction_type, eta, step_noise):
    """DDIM (Song et al. 2021, Eq. 12 and 16) on the linear denoiser, in double precision."""
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    alphas = np.cumprod(1 - betas)
    latents = noise.astype(np.float64)
    for step in range(steps):
        time = 1 + (steps - 1 - step) * (1000 // steps)
        before = time - 1000 // steps
        alpha, alpha_before = alphas[time], alphas[before] if before >= 0 else alphas[0]
        output = (0.3 + time / 2000) * latents + 0.1
        if prediction_type == "v_prediction":
            output = alpha**0.5 * output + (1 - alpha) ** 0.5 * latents
        clean = (latents - (1 - alpha) ** 0.5 * output) / alpha**0.5
        sigma = eta * ((1 - alpha_before) / (1 - alpha) * (1 - alpha / alpha_before)) ** 0.5
        latents = alpha_before**0.5 * clean + (1 - alpha_before - sigma**2) ** 0.5 * output
        if eta:
            latents = latents + sigma * step_noise[step]
    return latents


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("eta", [0.0, 0.7])
def test_sampling_equals_ddim_written_by_hand(prediction_type, eta):
    params = controls(eta=eta)
    one = replace(scene(), step_noise=draw_step_noise(3, (4, 8, 8), params))
    result = sample(linear, scheduler(prediction_type), batch_of([one], 1), params)
    noises = None if one.step_noise is None else one.step_noise.numpy()
    expected = naive_ddim(one.noise.numpy(), STEPS, prediction_type, eta, noises)
    assert np.allclose(result[0], expected, atol=1e-4)


def test_each_step_keeps_the_background_at_the_level_of_the_step():
    batch, plan, seen = batch_of([scene(0), scene(1)], 2), scheduler(), []

    def watched(latents, time, weights):
        seen.append((time, latents))
        return linear(latents, time, weights)

    result = sample(watched, plan, batch, controls(blend="each_step"))
    outside = (batch.hole == 0).expand_as(batch.normal)
    for time, latents in seen:
        alpha = plan.alphas_cumprod[time]
        noised = alpha.sqrt() * batch.normal + (1 - alpha).sqrt() * batch.noise
        assert torch.allclose(latents[outside], noised[outside], atol=1e-6)
    assert [time for time, _ in seen] == plan.timesteps.tolist()
    finished = fuse_end(result, batch, controls(blend="each_step"))
    assert torch.equal(finished[outside], batch.normal[outside])
    assert torch.equal(finished[~outside], result[~outside])


def test_the_end_fuses_once_with_the_undilated_mask():
    batch = batch_of([scene()], 1)
    result = sample(linear, scheduler(), batch, controls())
    finished, inside = fuse_end(result, batch, controls()), (batch.mask == 1).expand_as(result)
    assert torch.equal(finished[~inside], batch.normal[~inside]) and torch.equal(finished[inside], result[inside])
    blended = sample(linear, scheduler(), batch, controls(blend="each_step"))
    assert torch.allclose(blended[inside], result[inside], atol=1e-6)  # the toy does not mix cells


@pytest.mark.parametrize("compare", ["x0", "zt"])
def test_weights_come_from_the_step_before_or_from_z_t(compare):
    params = controls(sae={"enabled": True, "compare": compare})
    batch, plan, seen = batch_of([scene()], 1), scheduler(), []

    def watched(latents, time, weights):
        seen.append((time, latents, weights))
        return linear(latents, time, weights)

    sample(watched, plan, batch, params)
    predicted = None
    for time, latents, weights in seen:
        compared = predicted if compare == "x0" else latents
        ones = torch.ones_like(batch.mask)
        expected = ones if compared is None else weight_map(batch.reference, compared, batch.mask, params.sae)
        assert torch.allclose(weights, expected, atol=1e-6)
        alpha = plan.alphas_cumprod[time]
        predicted = (latents - (1 - alpha).sqrt() * linear(latents, time, weights)) / alpha.sqrt()
    assert bool((seen[0][2] == 1).all()) == (compare == "x0") and seen[-1][2].max() > 1


def test_without_a_reference_every_weight_is_one():
    batch, seen = batch_of([replace(scene(), reference=None)], 1), []
    sample(lambda z, t, w: seen.append(w) or linear(z, t, w), scheduler(), batch, controls(sae={"enabled": True}))
    assert all(bool((weights == 1).all()) for weights in seen)


def test_every_scene_of_a_filled_batch_is_kept_in_order():
    batch = batch_of([scene(0), scene(1)], 5)
    assert batch.noise.shape == (5, 4, 8, 8) and batch.known is None
    assert torch.equal(batch.noise[:2], torch.stack([scene(0).noise, scene(1).noise]))
    assert torch.equal(batch.mask[4], scene(1).mask)
    alone = sample(linear, scheduler(), batch_of([scene(1)], 1), controls(blend="each_step"))
    together = sample(linear, scheduler(), batch, controls(blend="each_step"))
    assert torch.allclose(together[1], alone[0], atol=1e-6)


def test_noise_is_drawn_by_seed_and_step_noise_by_step():
    assert torch.equal(draw_noise(5, (4, 2, 2)), draw_noise(5, (4, 2, 2)))
    assert not torch.equal(draw_noise(5, (4, 2, 2)), draw_noise(6, (4, 2, 2)))
    params = controls(eta=1.0)
    steps = draw_step_noise(5, (4, 2, 2), params)
    assert steps.shape == (STEPS, 4, 2, 2)
    assert len({tuple(noise.flatten().tolist()) for noise in steps}) == STEPS
    longer = draw_step_noise(5, (4, 2, 2), controls(eta=1.0, steps=STEPS + 1))
    assert torch.equal(longer[:STEPS], steps)
    assert draw_step_noise(5, (4, 2, 2), controls()) is None
