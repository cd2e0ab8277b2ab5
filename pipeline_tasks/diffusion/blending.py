"""Noise of a pair's own, and the background that sampling keeps (METHODS section 4)."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pipeline_tasks.generator_params import LatentSampling
from pipeline_tasks.seeds import derive_seed

if TYPE_CHECKING:
    from diffusers import DDIMScheduler


def draw_noise(seed: int, shape: tuple[int, ...]) -> Tensor:
    """Return standard normal noise, float32, the same on every device."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, np.float32))


def draw_step_noise(seed: int, shape: tuple[int, ...], params: LatentSampling) -> Tensor | None:
    """Return the noise [steps, *shape] that DDIM adds, each step's from a seed of its own; None without any."""
    if not params.eta:
        return None
    return torch.stack([draw_noise(derive_seed(seed, "step", step), shape) for step in range(params.steps)])


def fuse_background(generated: Tensor, normal: Tensor, mask: Tensor) -> Tensor:
    """Return z_g inside the mask and z_i, the normal image's latents, outside it (AFF, CAGen Eq. 4); [B, C, h, w]."""
    return generated * mask + normal * (1 - mask)


def keep_background(
    latents: Tensor, normal: Tensor, noise: Tensor, hole: Tensor, scheduler: "DDIMScheduler", time: int
) -> Tensor:
    """Return `latents` z_t with the normal image's outside the hole, noised to timestep `time` by the pair's own noise.

    Blended latent diffusion (Avrahami et al. 2023); all are [B, C, h, w], the hole [B, 1, h, w].
    """
    return fuse_background(latents, scheduler.add_noise(normal, noise, torch.tensor(time)), hole)
