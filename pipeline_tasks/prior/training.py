"""Training the prior: the inpainting network on drawn scenes, resumable, the same for any number of workers."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from pipeline_tasks.diffusion.checkpoints import Checkpoints
from pipeline_tasks.diffusion.optimization import Plan, optimize
from pipeline_tasks.inpainting.window_loss import window_loss
from pipeline_tasks.prior.params import PriorTrain
from pipeline_tasks.prior.scenes import Block, Draw, StepBlocks, one_thread
from pipeline_tasks.seeds import derive_seed

if TYPE_CHECKING:
    from diffusers import UNet2DModel

AHEAD = 4
"""Blocks that each worker draws ahead."""
STARTED = "spawn"
"""How workers come to be: a forked one may wait for ever for a thread of OpenCV's or torch's that it does not have."""


def train_prior(
    unet: "UNet2DModel",
    draw: Draw,
    params: PriorTrain,
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
    checkpoints: Checkpoints,
    progress: Callable[[range], Iterator[int]],
) -> list[float]:
    """Train `unet`, which knows no defects by name, in place; leave its averaged weights in it, return the losses.

    Every step has drawn scenes, noise and times from a seed of its own: see `inpainting.training.train`.
    """
    unet.to(device, memory_format=torch.channels_last)
    blocks = _Ahead(StepBlocks(draw, params.blocks, seed), params)

    def loss_of(step: int) -> Tensor:
        windows, grains = blocks.of(step)
        rng = np.random.default_rng(derive_seed(seed, "prior", step))
        return window_loss(unet, windows, grains, 0, rng, device, dtype)

    plan = Plan(params.steps, params.learning_rate, params.ema_decay, params.checkpoint_every_steps)
    return optimize(unet, loss_of, plan, checkpoints, progress)


class _Ahead:
    """The blocks of one step after the other, from the first that is asked for, drawn by workers ahead of time."""

    def __init__(self, blocks: StepBlocks, params: PriorTrain) -> None:
        self._blocks, self._params = blocks, params
        self._coming: Iterator[Block] | None = None

    def of(self, step: int) -> Block:
        if self._coming is None:
            self._coming = iter(self._loader(range(step, self._params.steps)))
        return next(self._coming)

    def _loader(self, steps: range) -> DataLoader[Block]:
        return DataLoader(
            self._blocks,
            batch_size=None,
            sampler=steps,
            num_workers=self._params.workers,
            prefetch_factor=AHEAD if self._params.workers else None,
            multiprocessing_context=STARTED if self._params.workers else None,
            collate_fn=_as_it_is,
            worker_init_fn=one_thread,
        )


def _as_it_is(block: Any) -> Any:
    return block
