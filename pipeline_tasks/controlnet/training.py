"""Training a ControlNet, and adapters on its base, on cached views; on one process or several, and resumable.

Step k draws its views, times and noise from a seed of its own. Every process draws the whole batch and computes its
part of it, so several processes give what one gives, up to rounding, and on one machine's CPU a resumed run equals the
unbroken one to the bit.
"""

import math
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
from pipeline_tasks.diffusion.training_state import TrainingState
from pipeline_tasks.params import Train
from pipeline_tasks.seeds import derive_seed

if TYPE_CHECKING:
    from accelerate import Accelerator
    from diffusers import ControlNetModel

MAX_GRADIENT = 1.0
"""Gradients are scaled down to this norm."""


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
    to the precision of the training. Only the main process keeps checkpoints and shows progress.
    """
    dtype = pick_dtype(params.precision, accelerator.device)
    network = _network(base, control, params, accelerator.device, dtype)
    weights = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
    state = TrainingState.begin(
        weights, torch.optim.AdamW(weights.values(), lr=params.learning_rate), params.ema_decay, params.steps
    )
    model, optimizer = accelerator.prepare(network, state.optimizer)
    objective = Objective(base.scheduler, params.controlnet.alignment_weight, params.controlnet.min_snr_gamma)
    job = _Job(accelerator, model, optimizer, views, objective, dtype)
    steps = range(state.resume(checkpoints), params.steps)
    for step in progress(steps) if accelerator.is_main_process else steps:
        for group in optimizer.param_groups:
            group["lr"] = params.learning_rate * _schedule(params.controlnet.schedule, step / params.steps)
        whole = draw(views, params, base.scheduler.config.num_train_timesteps, derive_seed(seed, "train", step))
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            state.losses[step] = job.step(whole, params.controlnet.accumulate)
        state.follow()
        due = (step + 1) % params.checkpoint_every_steps == 0 and step + 1 < params.steps
        if due and accelerator.is_main_process:
            checkpoints.save(state.tensors(step + 1))
    network.eval().requires_grad_(False)
    return state.finish()


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


def _schedule(kind: str, done: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * done)) if kind == "cosine" else 1.0


@dataclass(frozen=True)
class _Job:
    """One process's share of the training."""

    accelerator: "Accelerator"
    model: torch.nn.Module
    optimizer: torch.optim.Optimizer
    views: EncodedViews
    objective: Objective
    dtype: torch.dtype

    def step(self, whole: Draw, accumulate: int) -> Tensor:
        """Take one optimiser step on a batch, computed in `accumulate` parts, and return its loss."""
        processes, own = self.accelerator.num_processes, self.accelerator.process_index
        total = torch.zeros((), device=self.accelerator.device)
        for number in range(accumulate):
            with self.accelerator.accumulate(self.model):
                loss = self._loss(whole.part(number * processes + own, accumulate * processes))
                self.accelerator.backward(loss)
                if self.accelerator.sync_gradients:
                    self.accelerator.clip_grad_norm_(self.model.parameters(), MAX_GRADIENT)
                self.optimizer.step()
                self.optimizer.zero_grad()
            total += loss.detach() / accumulate
        mean: Tensor = self.accelerator.reduce(total, "mean")
        return mean

    def _loss(self, part: Draw) -> Tensor:
        device = self.accelerator.device
        seen = self.views.pick(part.views, part.prompts, device)
        noise, times = part.noise.to(device), part.times.to(device)
        noised = self.objective.scheduler.add_noise(seen.latents, noise, times)
        with torch.autocast(device.type, self.dtype, enabled=self.dtype != torch.float32):
            predicted = self.model(noised, times, seen.text, seen.mask, seen.known)
        return self.objective(predicted, seen.latents, noise, times, seen.mask)
