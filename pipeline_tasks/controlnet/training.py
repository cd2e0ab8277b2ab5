"""Training a ControlNet, and adapters on its base, on cached views."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pipeline_tasks.controlnet.encoded_views import EncodedViews
from pipeline_tasks.controlnet.network import ControlledUNet
from pipeline_tasks.controlnet.objective import Objective
from pipeline_tasks.diffusion.base_model import BaseModel
from pipeline_tasks.diffusion.checkpoints import Checkpoints
from pipeline_tasks.diffusion.device import pick_dtype
from pipeline_tasks.diffusion.training_loop import descend
from pipeline_tasks.params import Train
from pipeline_tasks.seeds import derive_seed

if TYPE_CHECKING:
    from accelerate import Accelerator
    from diffusers import ControlNetModel


@dataclass(frozen=True)
class Draw:
    """What a step trains on: numbers of views and of their prompts [B], times [B] in 0..T-1, noise [B, C, s, s]."""

    views: Tensor
    prompts: Tensor
    times: Tensor
    noise: Tensor

    def part(self, number: int, parts: int) -> "Draw":
        """Return the `number`th of equal parts."""
        own = (values.chunk(parts)[number] for values in (self.views, self.prompts, self.times, self.noise))
        return Draw(*own)


def draw(views: EncodedViews, params: Train, times: int, seed: int) -> Draw:
    """Return the batch of the step with this seed; some prompts are dropped, for classifier-free guidance."""
    rng, count = np.random.default_rng(seed), params.batch_size
    chosen = rng.integers(views.defects, size=count)
    normal = rng.random(count) < params.normal_fraction
    if len(views) > views.defects:
        chosen = np.where(normal, rng.integers(views.defects, len(views), size=count), chosen)
    dropped = torch.from_numpy(rng.random(count) < params.controlnet.prompt_dropout)
    at = torch.from_numpy(rng.integers(times, size=count))
    noise = torch.from_numpy(rng.standard_normal((count, *views.latents.shape[1:]), np.float32))
    numbers = torch.from_numpy(chosen)
    return Draw(numbers, torch.where(dropped, 0, views.prompts[numbers]), at, noise)


def train(
    base: BaseModel,
    control: "ControlNetModel",
    views: EncodedViews,
    accelerator: "Accelerator",
    params: Train,
    seed: int,
    checkpoints: Checkpoints,
    progress: Callable[[range], Iterator[int]],
) -> list[float]:
    """Train `control` and what is trainable in `base.unet` in place, and return the loss of every step.

    Their averaged (EMA) weights are left in them, frozen. The rest of the base stays as it is; on a GPU it is brought
    to the precision of the training.
    """
    dtype, device = pick_dtype(params.precision, accelerator.device), accelerator.device
    network = _network(base, control, params, device, dtype)
    objective = Objective(base.scheduler, params.controlnet.alignment_weight, params.controlnet.min_snr_gamma)

    def drawn(step: int) -> Draw:
        return draw(views, params, base.scheduler.config.num_train_timesteps, derive_seed(seed, "train", step))

    def loss(model: torch.nn.Module, part: Draw) -> Tensor:
        seen = views.pick(part.views, part.prompts, device)
        noise, times = part.noise.to(device), part.times.to(device)
        noised = base.scheduler.add_noise(seen.latents, noise, times)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            predicted = model(noised, times, seen.text, seen.mask, seen.known)
        return objective(predicted, seen.latents, noise, times, seen.mask)

    return descend(network, drawn, loss, accelerator, params, params.controlnet, checkpoints, progress)


def _network(
    base: BaseModel, control: "ControlNetModel", params: Train, device: torch.device, dtype: torch.dtype
) -> ControlledUNet:
    """Return the network to train: what is trainable in float32, what is frozen in the precision of the training."""
    from diffusers.training_utils import cast_training_params

    frozen = dtype if device.type == "cuda" else torch.float32
    # diffusers' own `to` warns of layers to keep in float32 even where a network names none.
    torch.nn.Module.to(base.unet.to(memory_format=torch.channels_last), device, frozen)
    cast_training_params(base.unet)
    control.to(device, memory_format=torch.channels_last).requires_grad_(True)
    if params.controlnet.gradient_checkpointing:
        base.unet.enable_gradient_checkpointing()
        control.enable_gradient_checkpointing()
    return ControlledUNet(base.unet, control)
