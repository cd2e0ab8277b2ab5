from dataclasses import replace

import numpy as np
import pytest
import torch
from settings import settings

from pipeline_tasks.diffusion.blending import draw_noise
from pipeline_tasks.dit.sampling import batch_of, draw_scene, mapped_steps, sample

STEPS, SHAPE = 6, (4, 8, 8)


def controls(**changes):
    return settings(generate={"dit": {"steps": STEPS, "eta": 0.0, "blend": "each_step"} | changes}).generate.dit


def scheduler(prediction_type="epsilon"):
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
    made.set_timesteps(STEPS)
    return made


def given_scene(number=0):
    hole = torch.zeros(1, 8, 8)
    hole[:, 1:6, 1 + number : 6 + number] = 1
    return replace(draw_scene(number, SHAPE, controls()), normal=draw_noise(100 + number, SHAPE), hole=hole)


def linear(latents, time, mapped):
    """A toy denoiser: linear in z_t."""
    return (0.3 + time / 2000) * latents + 0.1, torch.full((1,), time) if mapped else None


def naive_ddim(noise, prediction_type, eta, step_noise):
    """DDIM (Song et al. 2021, Eq. 12 and 16) on the linear denoiser, in double precision."""
    alphas = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
    latents = noise.astype(np.float64)
    for step in range(STEPS):
        time = 1 + (STEPS - 1 - step) * (1000 // STEPS)
        before = time - 1000 // STEPS
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
@pytest.mark.parametrize("blend", ["each_step", "end"])
def test_free_generation_is_ddim_from_noise_alone(prediction_type, eta, blend):
    params = controls(eta=eta, blend=blend)
    scene = draw_scene(3, SHAPE, params)
    result = sample(linear, scheduler(prediction_type), batch_of([scene]), params)
    noises = None if scene.step_noise is None else scene.step_noise.numpy()
    assert np.allclose(result.latents[0], naive_ddim(scene.noise.numpy(), prediction_type, eta, noises), atol=1e-4)


def test_each_step_keeps_the_given_background_at_the_level_of_the_step():
    batch, plan, seen = batch_of([given_scene(0), given_scene(1)]), scheduler(), []

    def watched(latents, time, mapped):
        seen.append((time, latents))
        return linear(latents, time, mapped)

    result = sample(watched, plan, batch, controls()).latents
    outside = (batch.hole == 0).expand_as(batch.normal)
    for time, latents in seen:
        alpha = plan.alphas_cumprod[time]
        noised = alpha.sqrt() * batch.normal + (1 - alpha).sqrt() * batch.noise
        assert torch.allclose(latents[outside], noised[outside], atol=1e-6)
        assert not torch.allclose(latents[~outside], noised[~outside], atol=1e-2) or time == plan.timesteps[0]
    assert [time for time, _ in seen] == plan.timesteps.tolist()
    assert torch.equal(result[outside], batch.normal[outside])


def test_the_end_fuses_once():
    batch = batch_of([given_scene()])
    free = sample(linear, scheduler(), replace(batch, hole=torch.ones_like(batch.hole)), controls(blend="end")).latents
    fused = sample(linear, scheduler(), batch, controls(blend="end")).latents
    inside = (batch.hole == 1).expand_as(fused)
    assert torch.equal(fused[inside], free[inside]) and torch.equal(fused[~inside], batch.normal[~inside])


@pytest.mark.parametrize(("share", "count"), [(0.1, 1), (0.01, 1), (0.5, 3), (1.0, 6)])
def test_maps_are_recorded_in_the_last_share_of_the_schedule(share, count):
    params = controls(mask_share=share)
    plan, batch = scheduler(), batch_of([given_scene()])
    maps = sample(linear, plan, batch, params, mapped=True).maps
    assert mapped_steps(params) == count
    assert [int(time) for time in torch.cat(list(maps))] == plan.timesteps[-count:].tolist()
    assert sample(linear, plan, batch, params).maps == []


def test_a_tenth_of_the_schedule_is_the_papers_last_hundred_steps():
    assert mapped_steps(controls(steps=1000, mask_share=0.1)) == 100
    assert mapped_steps(controls(steps=20, mask_share=0.1)) == 2


def test_a_scene_depends_on_its_seed_alone_and_its_noise_not_on_the_strength():
    params = controls(defect_scale_min=1.0, defect_scale_max=3.0, product_scale=1.5, eta=0.5)
    one, same, other = (draw_scene(seed, SHAPE, params) for seed in (5, 5, 6))
    strong = draw_scene(5, SHAPE, params, defect_scale=9.0)
    assert torch.equal(one.noise, same.noise) and one.defect_scale == same.defect_scale
    assert not torch.equal(one.noise, other.noise) and one.defect_scale != other.defect_scale
    assert torch.equal(strong.noise, one.noise) and torch.equal(strong.step_noise, one.step_noise)
    assert strong.defect_scale == 9 and strong.product_scale == 1.5


def test_strengths_are_spread_evenly_over_their_range():
    params = controls(defect_scale_min=1.0, defect_scale_max=3.0)
    drawn = np.array([float(draw_scene(seed, (1, 1, 1), params).defect_scale) for seed in range(400)])
    assert 1 <= drawn.min() < 1.05 and 2.95 < drawn.max() <= 3 and abs(drawn.mean() - 2) < 0.1


def test_a_sample_does_not_depend_on_its_batch():
    together = sample(linear, scheduler(), batch_of([given_scene(0), given_scene(1)]), controls()).latents
    alone = sample(linear, scheduler(), batch_of([given_scene(1)]), controls()).latents
    assert torch.allclose(together[1], alone[0], atol=1e-6)
