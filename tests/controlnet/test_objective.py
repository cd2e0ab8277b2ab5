import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler

from pipeline_tasks.controlnet.objective import Objective, alignment_error, min_snr_weights
from pipeline_tasks.diffusion.targets import target

TIMES = torch.tensor([3, 400, 980])


def scheduler(prediction_type="epsilon"):
    return DDIMScheduler(beta_schedule="scaled_linear", beta_end=0.012, prediction_type=prediction_type)


def batch(seed=0):
    rng = torch.Generator().manual_seed(seed)
    predicted, latents, noise = torch.randn(3, 3, 4, 8, 8, generator=rng)
    mask = torch.zeros(3, 1, 32, 32)
    mask[0, :, 4:12, 8:24] = 1
    mask[1, :, 17, 3:30] = 1
    return predicted, latents, noise, mask


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_the_loss_equals_an_independent_calculation(kind):
    predicted, latents, noise, mask = batch()
    given = Objective(scheduler(kind), 0.7, 5.0)(predicted, latents, noise, TIMES, mask)
    p, z, e, m = (t.double().numpy() for t in (predicted, latents, noise, mask))
    alpha_bar = scheduler().alphas_cumprod.double().numpy()[TIMES.numpy()]
    snr = alpha_bar / (1 - alpha_bar)
    velocity = np.sqrt(alpha_bar)[:, None, None, None] * e - np.sqrt(1 - alpha_bar)[:, None, None, None] * z
    wanted = {"epsilon": e, "v_prediction": velocity, "sample": z}[kind]
    weight = {"epsilon": np.minimum(snr, 5) / snr, "v_prediction": np.minimum(snr, 5) / (snr + 1)}
    total = 0
    for i, w in enumerate(weight.get(kind, np.minimum(snr, 5))):
        cells = m[i, 0].reshape(8, 4, 8, 4).mean(axis=(1, 3))
        error = np.square(p[i] - wanted[i]).mean(axis=0)
        inside = (cells * error).sum() / cells.sum() if cells.any() else 0
        total += w * (error.mean() + 0.7 * inside) / 3
    assert float(given) == pytest.approx(total, rel=1e-5)


def test_without_options_it_is_the_mean_squared_error():
    predicted, latents, noise, mask = batch()
    given = Objective(scheduler(), 0, 0)(predicted, latents, noise, TIMES, mask)
    assert float(given) == pytest.approx(float((predicted - noise).square().mean()))


def gradient(mask):
    predicted = torch.ones(1, 4, 8, 8, requires_grad=True)
    alignment_error(predicted.square(), mask).sum().backward()
    return predicted.grad


def test_alignment_pulls_inside_the_mask_only_by_one_over_its_area():
    small, large = torch.zeros(1, 1, 32, 32), torch.zeros(1, 1, 32, 32)
    small[..., :8, :8], large[..., :16, :16] = 1, 1
    pull, weaker = gradient(small), gradient(large)
    assert (pull[..., :2, :2] > 0).all() and pull.count_nonzero() == 4 * 4
    assert (weaker[..., :4, :4] > 0).all() and weaker.count_nonzero() == 4 * 16
    torch.testing.assert_close(pull[..., :2, :2], 4 * weaker[..., :2, :2])


def test_samples_without_a_mask_contribute_nothing():
    assert alignment_error(torch.ones(2, 4, 8, 8), torch.zeros(2, 1, 32, 32)).tolist() == [0, 0]
    assert gradient(torch.zeros(1, 1, 32, 32)).count_nonzero() == 0


def test_the_loss_of_a_batch_is_the_mean_of_its_parts():
    objective, values = Objective(scheduler(), 1.0, 5.0), batch()
    parts = [[v[i : i + 1] for v in values] for i in range(3)]
    apart = [objective(p, z, e, TIMES[i : i + 1], m) for i, (p, z, e, m) in enumerate(parts)]
    predicted, latents, noise, mask = values
    torch.testing.assert_close(objective(predicted, latents, noise, TIMES, mask), torch.stack(apart).mean())


def test_min_snr_weighs_the_same_error_of_the_clean_latents_alike():
    """|e - e'|^2 = SNR |x - x'|^2 and |v - v'|^2 = (SNR + 1) |x - x'|^2: the weights must undo that."""
    snr = scheduler().alphas_cumprod[TIMES] / (1 - scheduler().alphas_cumprod[TIMES])
    noise, velocity, clean = (min_snr_weights(scheduler(k), TIMES, 5.0) for k in ("epsilon", "v_prediction", "sample"))
    torch.testing.assert_close(noise * snr, clean)
    torch.testing.assert_close(velocity * (snr + 1), clean)


def test_the_target_of_a_velocity_leads_back_to_the_latents():
    _, latents, noise, _ = batch()
    noised = scheduler().add_noise(latents, noise, TIMES)
    velocity = target(scheduler("v_prediction"), latents, noise, TIMES)
    alpha = scheduler().alphas_cumprod[TIMES].sqrt()[:, None, None, None]
    sigma = (1 - scheduler().alphas_cumprod[TIMES]).sqrt()[:, None, None, None]
    torch.testing.assert_close(alpha * noised - sigma * velocity, latents)
