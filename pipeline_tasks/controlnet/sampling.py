"""From noise to latents: DDIM that keeps the background and enhances faint defects (METHODS section 4)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipeline_tasks.controlnet.attention import weight_map
from pipeline_tasks.diffusion.blending import fuse_background, keep_background
from pipeline_tasks.diffusion.stacking import combined
from pipeline_tasks.generator_params import GenerateControlNet

if TYPE_CHECKING:
    from diffusers import DDIMScheduler

Denoise = Callable[[Tensor, int, Tensor], Tensor]
"""What the model makes of z_t [B, C, h, w] at a timestep, its attention weighed by w_m [B, 1, h, w]: noise or v."""


@dataclass(frozen=True)
class Scene:
    """What one pair is sampled from; of a batch when every tensor has a leading dimension more.

    normal: latents z_i of the normal image, [C, h, w]. mask, hole: the defect's cells and those that may change, float
    {0, 1} [1, h, w]. noise: of the first step, [C, h, w]. text: [tokens, width]. control: the mask as
    RGB in {0, 1}, [3, S, S]. reference: the real defect's latents z'_r, laid over the mask, for the SAE. known: what
    network.known_latents gives for a base that inpaints, [1 + C, h, w]. step_noise: [steps, C, h, w], where eta > 0.
    """

    normal: Tensor
    mask: Tensor
    hole: Tensor
    noise: Tensor
    text: Tensor
    control: Tensor
    reference: Tensor | None = None
    known: Tensor | None = None
    step_noise: Tensor | None = None

    def to(self, device: torch.device) -> "Scene":
        """Return the scene on `device`."""
        return combined([self], lambda column: column[0].to(device))


def batch_of(scenes: Sequence[Scene], size: int) -> Scene:
    """Return scenes as a batch of `size`, which more of the last one fill."""
    return combined([*scenes, *[scenes[-1]] * (size - len(scenes))], torch.stack)


def sample(denoise: Denoise, scheduler: "DDIMScheduler", batch: Scene, params: GenerateControlNet) -> Tensor:
    """Return z_0 [B, C, h, w], not yet fused with anything.

    scheduler: with its timesteps set. `blend: each_step` puts the background back before every step, at the step's
    noise level and with the pair's own noise (blended latent diffusion, Avrahami et al. 2023).
    """
    latents = batch.noise
    predicted = None
    for step, time in enumerate(scheduler.timesteps.tolist()):
        if params.blend == "each_step":
            latents = keep_background(latents, batch.normal, batch.noise, batch.hole, scheduler, time)
        output = denoise(latents, time, _weights(batch, latents, predicted, params))
        noise = None if batch.step_noise is None else batch.step_noise[:, step]
        moved = scheduler.step(output, time, latents, eta=params.eta, variance_noise=noise)
        latents, predicted = moved.prev_sample, moved.pred_original_sample
    return latents


def _weights(batch: Scene, latents: Tensor, predicted: Tensor | None, params: GenerateControlNet) -> Tensor:
    """Return w_m: from z_t (paper), or from x_0 as the step before predicted it; ones where there is none."""
    compared = latents if params.sae.compare == "zt" else predicted
    if compared is None or batch.reference is None:
        return torch.ones_like(batch.mask)
    return weight_map(batch.reference, compared, batch.mask, params.sae)


def fuse_end(latents: Tensor, batch: Scene, params: GenerateControlNet) -> Tensor:
    """Return z_f [B, C, h, w]: the normal's latents outside the mask, undilated (CAGen Eq. 4), or outside the hole."""
    return fuse_background(latents, batch.normal, batch.hole if params.blend == "each_step" else batch.mask)
