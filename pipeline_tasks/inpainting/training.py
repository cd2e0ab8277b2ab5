"""Training the inpainting network, resumable at a checkpoint: on one machine's CPU to the bit as without a break."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pipeline_tasks.diffusion.checkpoints import Checkpoints
from pipeline_tasks.diffusion.early_stopping import EarlyStopping
from pipeline_tasks.diffusion.optimization import Plan, optimize
from pipeline_tasks.images.codec import Pixels
from pipeline_tasks.inpainting.source import Grain
from pipeline_tasks.inpainting.training_windows import (
    DefectImage,
    Window,
    defect_window,
    flipped,
    normal_window,
    uncoded,
)
from pipeline_tasks.inpainting.window_loss import window_loss
from pipeline_tasks.params import Train
from pipeline_tasks.seeds import derive_seed

if TYPE_CHECKING:
    from diffusers import UNet2DModel

HELD_OUT_WINDOWS = 8
"""Of each image held out, half of them with a guide."""


@dataclass(frozen=True)
class TrainingSet:
    """Decoded base samples: defect images, the normal images, the pixel scale in grey levels, the grain.

    held_out: defect images that are not learned from, but tell when to stop; there may be none.
    """

    defects: list[DefectImage]
    held_out: list[DefectImage]
    normals: list[Pixels]
    scale: float
    grain: Grain
    defect_count: int

    @cached_property
    def by_defect(self) -> list[list[DefectImage]]:
        """The images of each defect: one with few of them is drawn as often as one with many."""
        every = [[image for image in self.defects if image.defect == defect] for defect in range(self.defect_count)]
        return [images for images in every if images]


def train(
    unet: "UNet2DModel",
    data: TrainingSet,
    params: Train,
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
    checkpoints: Checkpoints,
    progress: Callable[[range], Iterator[int]],
) -> list[float]:
    """Train `unet` in place, leave its averaged (EMA) weights in it, and return the loss of every step.

    Step k draws its windows, noise and times from a seed of its own, so a run resumed at a checkpoint repeats nothing
    and misses nothing: the result is the same to the bit on one machine's CPU. On CUDA cuDNN's kernels are held to
    deterministic ones; others may round differently.
    """
    unet.to(device, memory_format=torch.channels_last)

    def loss_of(step: int) -> Tensor:
        return _loss(unet, data, params, derive_seed(seed, "train", step), device, dtype)

    plan = Plan(params.steps, params.learning_rate, params.ema_decay, params.checkpoint_every_steps)
    early, stopping = params.inpainting.early_stop, None
    if data.held_out:
        measure = partial(_held_out_loss, unet, data, params, derive_seed(seed, "held out"), device, dtype)
        stopping = EarlyStopping(early.every_steps, early.patience, measure)
    return optimize(unet, loss_of, plan, checkpoints, progress, stopping)


def _loss(
    unet: "UNet2DModel",
    data: TrainingSet,
    params: Train,
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
) -> Tensor:
    rng = np.random.default_rng(seed)
    windows = [_draw(data, params, rng) for _ in range(params.batch_size)]
    return window_loss(unet, windows, [data.grain] * len(windows), data.defect_count, rng, device, dtype)


@torch.inference_mode()
def _held_out_loss(
    unet: "UNet2DModel",
    data: TrainingSet,
    params: Train,
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
) -> float:
    """Return the loss on the same windows of the images held out, with the same noise and times at every call."""
    rng, own = np.random.default_rng(seed), params.inpainting
    losses = []
    for image in data.held_out:
        windows = [defect_window(image, own.window_px, data.scale, k % 2 == 0, rng) for k in range(HELD_OUT_WINDOWS)]
        grains = [data.grain] * len(windows)
        losses.append(float(window_loss(unet, windows, grains, data.defect_count, rng, device, dtype)))
    return float(np.mean(losses))


def _draw(data: TrainingSet, params: Train, rng: np.random.Generator) -> Window:
    own = params.inpainting
    images = data.by_defect[rng.integers(len(data.by_defect))]
    image, guided = images[rng.integers(len(images))], rng.random() < own.guided_fraction
    window = defect_window(image, own.window_px, data.scale, guided, rng)
    if data.normals and rng.random() < params.normal_fraction:
        window = normal_window(data.normals[rng.integers(len(data.normals))], window, data.scale, rng)
    return flipped(window if own.appearance_code else uncoded(window), rng)
