"""From noise to latents by DDIM: free, or inside a given hole of a given normal image (METHODS section 4)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pipeline_tasks.diffusion.blending import draw_noise, draw_step_noise, fuse_background, keep_background
from pipeline_tasks.diffusion.stacking import combined
from pipeline_tasks.generator_params import GenerateDit
from pipeline_tasks.seeds import derive_seed

if TYPE_CHECKING:
    from diffusers import DDIMScheduler

Denoise = Callable[[Tensor, int, bool], tuple[Tensor, Tensor | None]]
"""What the model makes of z_t [B, C, h, w] at a timestep, noise or v; and, where asked for, its maps [B, K, n, n]."""


@dataclass(frozen=True)
class Scene:
    """What one pair is sampled from; of a batch when every tensor has a leading dimension more.

    noise: of the first step, [C, h, w]. product_scale, defect_scale: w_p and w_d of Eq. 4, []. normal: latents of the
    given normal image, [C, h, w]; hole: the cells that are generated in it, float {0, 1} [1, h, w]: all of them in free
    generation, where the normal is not seen. step_noise: [steps, C, h, w], where eta > 0.
    """

    noise: Tensor
    product_scale: Tensor
    defect_scale: Tensor
    normal: Tensor
    hole: Tensor
    step_noise: Tensor | None = None

    def to(self, device: torch.device) -> "Scene":
        """Return the scene on `device`."""
        return combined([self], lambda column: column[0].to(device))


@dataclass(frozen=True)
class Sampled:
    """z_0 [B, C, h, w], and the attention maps [B, K, n, n] of each step that was to record them."""

    latents: Tensor
    maps: Sequence[Tensor]


def draw_scene(seed: int, shape: tuple[int, ...], params: GenerateDit, defect_scale: float | None = None) -> Scene:
    """Return the scene of free generation of the pair with `seed`; shape: of its latents.

    w_d is drawn evenly between its bounds if it is not given: the noise does not depend on it.
    """
    if defect_scale is None:
        rng = np.random.default_rng(derive_seed(seed, "strength"))
        defect_scale = float(rng.uniform(params.defect_scale_min, params.defect_scale_max))
    return Scene(
        noise=draw_noise(derive_seed(seed, "noise"), shape),
        product_scale=torch.tensor(params.product_scale),
        defect_scale=torch.tensor(defect_scale),
        normal=torch.zeros(shape),
        hole=torch.ones(1, *shape[1:]),
        step_noise=draw_step_noise(seed, shape, params),
    )


def batch_of(scenes: Sequence[Scene]) -> Scene:
    """Return scenes as a batch."""
    return combined(scenes, torch.stack)


def mapped_steps(params: GenerateDit) -> int:
    """Return how many of the last steps record attention maps: the share `mask_share` of them, one at least.

    The paper's are the last 100 of 1000 (section 3.4).
    """
    return max(1, round(params.mask_share * params.steps))


def sample(
    denoise: Denoise, scheduler: "DDIMScheduler", batch: Scene, params: GenerateDit, mapped: bool = False
) -> Sampled:
    """Return z_0 with the normal's latents outside the hole; `mapped`: and the attention maps of the last steps.

    scheduler: with its timesteps set. `blend: each_step` puts the background back before every step, at the step's
    noise level and with the pair's own noise (blended latent diffusion, Avrahami et al. 2023).
    """
    latents, maps = batch.noise, []
    first_mapped = params.steps - mapped_steps(params) if mapped else params.steps
    for step, time in enumerate(scheduler.timesteps.tolist()):
        if params.blend == "each_step":
            latents = keep_background(latents, batch.normal, batch.noise, batch.hole, scheduler, time)
        output, seen = denoise(latents, time, step >= first_mapped)
        maps += [] if seen is None else [seen]
        noise = None if batch.step_noise is None else batch.step_noise[:, step]
        latents = scheduler.step(output, time, latents, eta=params.eta, variance_noise=noise).prev_sample
    return Sampled(fuse_background(latents, batch.normal, batch.hole), maps)
