import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from tiny_dit_training import tiny_params

from pipeline_tasks.dit.encoded_views import Seen
from pipeline_tasks.dit.objective import Objective, Prediction, attention_ratio, clamped, defect_error

ALPHA = 0.001


def own(**values):
    paper = {"ratio_min": 2.0, "ratio_max": 8.0, "ratio_floor": ALPHA, "mask_weight": 0.2}
    return tiny_params(paper | values).train.dit


def objective(prediction_type="epsilon", **values):
    return Objective(DDIMScheduler(prediction_type=prediction_type), own(**values))


def case(rows=3, mapped=2, seed=0):
    """Return a random prediction, what was seen, noise and times: s = 4, n = 2, five maps."""
    rng = torch.Generator().manual_seed(seed)
    normal = lambda *shape: torch.randn(*shape, generator=rng)  # noqa: E731
    maps = torch.rand(mapped, 5, 2, 2, generator=rng)
    mask = (torch.rand(rows, 1, 4, 4, generator=rng) > 0.6).float() * 0.75
    prediction = Prediction(normal(rows, 4, 4, 4), maps, normal(mapped, 4, 4, 4))
    seen = Seen(normal(rows, 4, 4, 4), mask, normal(rows, 4, 4, 4))
    return prediction, seen, normal(rows, 4, 4, 4), torch.arange(rows)


def test_the_ratio_is_that_of_eq_8_by_hand():
    attention = torch.tensor([[[0.1, 0.2], [0.3, 0.4]]])
    mask = torch.zeros(1, 1, 4, 4)
    mask[0, 0, :2, :2] = 1  # the first of four map cells, whole
    mask[0, 0, 0, 2] = 1  # and a quarter of the second: a thin defect counts
    inside = 1 * 0.1 + 0.25 * 0.2
    expected = (1.0 - inside) / (inside + ALPHA)
    assert float(attention_ratio(attention, mask, ALPHA)) == pytest.approx(expected, rel=1e-6)


def test_attention_to_nothing_but_the_background_divides_by_alpha_alone():
    mask = torch.zeros(1, 1, 2, 2)
    assert float(attention_ratio(torch.full((1, 2, 2), 0.5), mask, ALPHA)) == pytest.approx(2 / ALPHA, rel=1e-6)


@pytest.mark.parametrize(("ratio", "expected"), [(0.0, 2), (2.0, 2), (2.5, 2.5), (7.9, 7.9), (8.0, 8), (1e6, 8)])
def test_the_ratio_is_clamped_at_both_ends_and_kept_between(ratio, expected):
    assert float(clamped(torch.tensor([ratio]), own())) == pytest.approx(expected)


def test_the_defects_error_is_the_norm_of_the_masked_difference():
    """Eq. 10, calculated as it is written: |mask * a - mask * b|^2, as a mean."""
    rng = np.random.default_rng(1)
    predicted, wanted = rng.normal(size=(2, 2, 4, 4, 4))
    mask = rng.random((2, 1, 4, 4))
    expected = np.mean((mask * predicted - mask * wanted) ** 2, axis=(1, 2, 3))
    found = defect_error(torch.from_numpy((predicted - wanted) ** 2), torch.from_numpy(mask))
    assert np.allclose(found.numpy(), expected)


def test_the_loss_is_eq_11_by_hand():
    prediction, seen, noise, times = case()
    named = torch.tensor([True, True, False])
    found = float(objective()(prediction, seen, noise, times, named))
    expected = 0.0
    for row in range(3):
        difference = prediction.sample[row].numpy() - noise[row].numpy()
        expected += np.mean(difference**2) / 3
        if not named[row]:
            continue
        mask = seen.mask[row].numpy()
        small = mask[0].reshape(2, 2, 2, 2).mean(axis=(1, 3))
        mean = prediction.maps[row].numpy().mean(axis=0)
        ratio = ((1 - small) * mean).sum() / ((small * mean).sum() + ALPHA)
        of_mask = np.mean((prediction.features[row].numpy() - seen.mask_latents[row].numpy()) ** 2)
        expected += (min(max(ratio, 2), 8) * np.mean((mask * difference) ** 2) + 0.2 * of_mask) / 3
    assert found == pytest.approx(expected, rel=1e-5)


def test_equal_bounds_are_the_ablation_without_adaptation():
    prediction, seen, noise, times = case()
    named = torch.tensor([True, True, False])
    error = (prediction.sample - noise).square()
    fixed = objective(ratio_min=3.0, ratio_max=3.0, mask_weight=0.0)(prediction, seen, noise, times, named)
    torch.testing.assert_close(fixed, error.mean() + 3 * defect_error(error, seen.mask)[:2].sum() / 3)


def test_images_called_good_carry_no_loss_of_defect_or_mask():
    """Neither an unmapped image nor the one that is mapped where no defect is named."""
    prediction, seen, noise, times = case(mapped=1)
    prediction = prediction._replace(features=prediction.features.requires_grad_())
    loss = objective()(prediction, seen, noise, times, torch.zeros(3, dtype=torch.bool))
    torch.testing.assert_close(loss, (prediction.sample - noise).square().mean())
    loss.backward()
    assert torch.equal(prediction.features.grad, torch.zeros_like(prediction.features))


def test_the_ratio_is_a_weight_without_a_gradient():
    prediction, seen, noise, times = case()
    maps = prediction.maps.clone().requires_grad_()
    sample = prediction.sample.clone().requires_grad_()
    loss = objective()(Prediction(sample, maps, prediction.features), seen, noise, times, torch.ones(3, dtype=bool))
    loss.backward()
    assert maps.grad is None and sample.grad.any()


def test_a_velocity_is_compared_with_a_velocity():
    prediction, seen, noise, times = case()
    scored = objective("v_prediction")
    velocity = scored.scheduler.get_velocity(seen.latents, noise, times)
    perfect = Prediction(velocity, prediction.maps, seen.mask_latents[:2])
    assert float(scored(perfect, seen, noise, times, torch.ones(3, dtype=bool))) == 0


def test_the_mean_of_equal_parts_is_the_loss_of_the_batch():
    prediction, seen, noise, times = case(rows=4, mapped=4)
    named = torch.tensor([True, False, True, True])

    def of(rows):
        part = Prediction(*(values[rows] for values in prediction))
        seen_part = Seen(seen.latents[rows], seen.mask[rows], seen.mask_latents[rows])
        return objective()(part, seen_part, noise[rows], times[rows], named[rows])

    torch.testing.assert_close((of(slice(0, 2)) + of(slice(2, 4))) / 2, of(slice(0, 4)))
