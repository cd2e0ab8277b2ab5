"""Training networks step by step, resumable at a checkpoint: on one machine's CPU to the bit as without a break."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pipeline_tasks.diffusion.checkpoints import Checkpoints
from pipeline_tasks.diffusion.early_stopping import EarlyStopping
from pipeline_tasks.diffusion.training_state import TrainingState

WARMUP_STEPS = 20
EMA_DECAY = 0.99
"""Suits the few hundred steps of a small network."""
GRADIENT_NORM = 1.0


@dataclass(frozen=True)
class Plan:
    """How networks are trained: AdamW with warm-up and cosine decay to 0, checkpoints every so many steps."""

    steps: int
    learning_rate: float
    ema_decay: float
    checkpoint_every_steps: int


def optimize(
    networks: nn.Module,
    loss_of: Callable[[int], Tensor],
    plan: Plan,
    checkpoints: Checkpoints,
    progress: Callable[[range], Iterator[int]],
    stopping: EarlyStopping | None = None,
) -> list[float]:
    """Train `networks` in place, leave their averaged (EMA) weights in them, and return the loss of every step taken.

    `loss_of` returns the loss of step k and draws from a seed of that step's own, so a resumed run equals an unbroken
    one. Its convolutions run on cuDNN's deterministic kernels. With `stopping`, the best weights that it measured are
    left instead, and the training may end before the plan does.
    """
    networks.train()
    weights = dict(networks.named_parameters())
    optimizer = torch.optim.AdamW(weights.values(), lr=plan.learning_rate, weight_decay=1e-4)
    state = TrainingState.begin(weights, optimizer, plan.ema_decay, plan.steps)
    done = state.resume(checkpoints)
    for step in progress(range(done, plan.steps)):
        for group in optimizer.param_groups:
            group["lr"] = plan.learning_rate * rate_at(step, plan.steps)
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            state.losses[step] = _descend(networks, optimizer, loss_of(step))
        state.follow()
        done = step + 1
        if stopping and (stopping.is_due(done) or done == plan.steps) and _is_over(networks, state, stopping):
            break
        if done % plan.checkpoint_every_steps == 0 and done < plan.steps:
            checkpoints.save(state.tensors(done))
    networks.eval()
    return state.finish(done)


def _is_over(networks: nn.Module, state: TrainingState, stopping: EarlyStopping) -> bool:
    networks.eval()
    state.judge(stopping.measure)
    networks.train()
    return stopping.is_over(state.judged)


def rate_at(step: int, steps: int) -> float:
    """Return the share of the learning rate at a step: up over WARMUP_STEPS, then down a cosine to 0."""
    return min(1.0, (step + 1) / WARMUP_STEPS) * 0.5 * (1 + math.cos(math.pi * step / steps))


def _descend(networks: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor) -> Tensor:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(networks.parameters(), GRADIENT_NORM)
    optimizer.step()
    return loss.detach()
