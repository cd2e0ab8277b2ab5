"""Training a generator in latent space, on one process or several, and resumable.

Every process draws the whole batch of a step and computes its part of it, so several processes give what one gives, up
to rounding; on one machine's CPU a resumed run equals the unbroken one to the bit.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from pipeline_tasks.diffusion.checkpoints import Checkpoints
from pipeline_tasks.diffusion.device import pick_device
from pipeline_tasks.diffusion.training_state import TrainingState
from pipeline_tasks.generator_params import LatentTraining
from pipeline_tasks.params import Train

if TYPE_CHECKING:
    from accelerate import Accelerator

MAX_GRADIENT = 1.0
"""Gradients are scaled down to this norm."""

D = TypeVar("D", bound="Parted")


class Parted(Protocol):
    """What a step is trained on."""

    def part(self: D, number: int, parts: int) -> D:
        """Return the `number`th of equal parts."""


def make_accelerator(params: Train, own: LatentTraining) -> "Accelerator":
    """Return what spreads a training over its processes, each on a device of the kind that `params` name.

    The precision is torch.autocast's: one choice (diffusion/device.py) for training and sampling.
    """
    from accelerate import Accelerator

    return Accelerator(
        cpu=pick_device(params.device).type == "cpu",
        mixed_precision="no",
        gradient_accumulation_steps=own.accumulate,
    )


def descend(
    network: nn.Module,
    draw: Callable[[int], D],
    loss: Callable[[nn.Module, D], Tensor],
    accelerator: "Accelerator",
    params: Train,
    own: LatentTraining,
    checkpoints: Checkpoints,
    progress: Callable[[range], Iterator[int]],
) -> list[float]:
    """Train what wants gradients in `network` in place, by AdamW, and return the loss of every step.

    `draw` gives a step's batch and draws from a seed of that step's own; `loss` gives the mean loss, a scalar, of a
    part of it by the network, which may be wrapped. The averaged (EMA) weights are left in the network, frozen. Only
    the main process keeps checkpoints and shows progress.
    """
    weights = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
    state = TrainingState.begin(
        weights, torch.optim.AdamW(weights.values(), lr=params.learning_rate), params.ema_decay, params.steps
    )
    model, optimizer = accelerator.prepare(network, state.optimizer)
    work = _Work(accelerator, model, optimizer, loss)
    steps = range(state.resume(checkpoints), params.steps)
    for step in progress(steps) if accelerator.is_main_process else steps:
        for group in optimizer.param_groups:
            group["lr"] = params.learning_rate * _schedule(own.schedule, step / params.steps)
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            state.losses[step] = work.step(draw(step), own.accumulate)
        state.follow()
        due = (step + 1) % params.checkpoint_every_steps == 0 and step + 1 < params.steps
        if due and accelerator.is_main_process:
            checkpoints.save(state.tensors(step + 1))
    network.eval().requires_grad_(False)
    return state.finish(params.steps)


def _schedule(kind: str, done: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * done)) if kind == "cosine" else 1.0


@dataclass(frozen=True)
class _Work(Generic[D]):
    """One process's share of the training."""

    accelerator: "Accelerator"
    model: nn.Module
    optimizer: torch.optim.Optimizer
    loss: Callable[[nn.Module, D], Tensor]

    def step(self, whole: D, accumulate: int) -> Tensor:
        """Take one optimiser step on a batch, computed in `accumulate` parts, and return its loss."""
        processes, own = self.accelerator.num_processes, self.accelerator.process_index
        total = torch.zeros((), device=self.accelerator.device)
        for number in range(accumulate):
            with self.accelerator.accumulate(self.model):
                loss = self.loss(self.model, whole.part(number * processes + own, accumulate * processes))
                self.accelerator.backward(loss)
                if self.accelerator.sync_gradients:
                    self.accelerator.clip_grad_norm_(self.model.parameters(), MAX_GRADIENT)
                self.optimizer.step()
                self.optimizer.zero_grad()
            total += loss.detach() / accumulate
        mean: Tensor = self.accelerator.reduce(total, "mean")
        return mean
