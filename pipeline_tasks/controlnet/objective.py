"""What training lowers: the denoising error (CAGen Eq. 1), and again inside the mask (AnomalyAlign's aim)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from pipeline_tasks.diffusion.targets import target

if TYPE_CHECKING:
    from diffusers import DDIMScheduler


@dataclass(frozen=True)
class Objective:
    """L = mean_i w_i (mean over all of |p_i - y_i|^2 + lambda A_i), where y is the target of the noise schedule.

    The first term is the denoising loss (CAGen Eq. 1), A the `alignment_error`, lambda the `alignment_weight`, w the
    `min_snr_weights` with `min_snr_gamma` (all 1 if that is 0). It is a mean over samples, so that the mean over the
    equal parts of a batch is that of the batch.
    """

    scheduler: "DDIMScheduler"
    alignment_weight: float
    min_snr_gamma: float

    def __call__(self, predicted: Tensor, latents: Tensor, noise: Tensor, times: Tensor, mask: Tensor) -> Tensor:
        """Return the loss, a scalar, of a prediction [B, C, s, s] from `latents` noised by `noise` to `times` [B]."""
        error = (predicted.float() - target(self.scheduler, latents, noise, times)).square()
        losses = error.mean(dim=(1, 2, 3))
        if self.alignment_weight:
            losses = losses + self.alignment_weight * alignment_error(error, mask)
        if self.min_snr_gamma:
            losses = losses * min_snr_weights(self.scheduler, times, self.min_snr_gamma)
        return losses.mean()


def alignment_error(error: Tensor, mask: Tensor) -> Tensor:
    """Return A_i = sum over cells of m_i * (mean over channels of error_i) / sum over cells of m_i, [B].

    error: squared, [B, C, s, s]; mask: [B, 1, S, S] in {0, 1}. m is the share of each latent cell that the mask covers,
    so that a thin defect weighs as much as a large one. A sample without a mask contributes 0. AnomalyAlign states the
    aim, to align the defect with its mask, but no formula; this one is ours.
    """
    share = avg_pool2d(mask.float(), mask.shape[-1] // error.shape[-1])
    inside = (share * error.mean(dim=1, keepdim=True)).sum(dim=(1, 2, 3))
    return inside / share.sum(dim=(1, 2, 3)).clamp(min=torch.finfo(torch.float32).tiny)


def min_snr_weights(scheduler: "DDIMScheduler", times: Tensor, gamma: float) -> Tensor:
    """Return the weights [B] of Hang et al. (2023): min(SNR, gamma) as a weight on the error of the clean latents.

    On the error of the noise that is min(SNR, gamma) / SNR, on that of the velocity min(SNR, gamma) / (SNR + 1).
    """
    from diffusers.training_utils import compute_snr

    snr: Tensor = compute_snr(scheduler, times)
    match scheduler.config.prediction_type:
        case "v_prediction":
            return snr.clamp(max=gamma) / (snr + 1)
        case "sample":
            return snr.clamp(max=gamma)
        case _:
            return (gamma / snr).clamp(max=1)
