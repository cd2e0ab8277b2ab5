"""Training the inpainting network, resumable at a checkpoint: on one machine's CPU to the bit as without a break."""

from collections.abc import Callable, Iterator, Sequence
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

HELD_OUT_IMAGES, HELD_OUT_WINDOWS = 8, 8
"""Images of a defect that are measured at most, and windows of each."""


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
        return _by_defect(self.defects, self.defect_count)


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
    fitting = _Fitting(unet, data, params, device, dtype)
    plan = Plan(params.steps, params.learning_rate, params.ema_decay, params.checkpoint_every_steps)
    early, stopping = params.inpainting.early_stop, None
    if data.held_out:
        measure = partial(fitting.held_out_loss, derive_seed(seed, "held out"))
        stopping = EarlyStopping(early.every_steps, early.patience, measure)
    return optimize(
        unet, lambda step: fitting.loss(derive_seed(seed, "train", step)), plan, checkpoints, progress, stopping
    )


@dataclass(frozen=True)
class _Fitting:
    """A network, what it is trained on, how, and where."""

    unet: "UNet2DModel"
    data: TrainingSet
    params: Train
    device: torch.device
    dtype: torch.dtype

    def loss(self, seed: int) -> Tensor:
        """Return the loss on random windows, noise and times."""
        rng = np.random.default_rng(seed)
        return self._loss([self._draw(rng) for _ in range(self.params.batch_size)], rng)

    @torch.inference_mode()
    def held_out_loss(self, seed: int) -> float:
        """Return the loss on the images held out, each defect's counting alike; for a seed the same at every call."""
        rng = np.random.default_rng(seed)
        return float(np.mean([np.mean([float(self._loss(windows, rng)) for windows in its]) for its in self._held_out]))

    @cached_property
    def _held_out(self) -> list[list[list[Window]]]:
        """Windows of at most HELD_OUT_IMAGES images held out of each defect, half of the windows with a guide."""
        rng = np.random.default_rng(0)
        return [
            [
                [self._window(image, number % 2 == 0, rng) for number in range(HELD_OUT_WINDOWS)]
                for image in images[:HELD_OUT_IMAGES]
            ]
            for images in _by_defect(self.data.held_out, self.data.defect_count)
        ]

    def _draw(self, rng: np.random.Generator) -> Window:
        data, params = self.data, self.params
        images = data.by_defect[rng.integers(len(data.by_defect))]
        image, guided = images[rng.integers(len(images))], rng.random() < params.inpainting.guided_fraction
        window = self._window(image, guided, rng)
        if data.normals and rng.random() < params.normal_fraction:
            window = normal_window(data.normals[rng.integers(len(data.normals))], window, data.scale, rng)
        return flipped(window, rng)

    def _window(self, image: DefectImage, guided: bool, rng: np.random.Generator) -> Window:
        own = self.params.inpainting
        window = defect_window(image, own.window_px, self.data.scale, guided, rng)
        return window if own.appearance_code else uncoded(window)

    def _loss(self, windows: Sequence[Window], rng: np.random.Generator) -> Tensor:
        grains, count = [self.data.grain] * len(windows), self.data.defect_count
        return window_loss(self.unet, windows, grains, count, rng, self.device, self.dtype)


def _by_defect(images: Sequence[DefectImage], defect_count: int) -> list[list[DefectImage]]:
    every = [[image for image in images if image.defect == defect] for defect in range(defect_count)]
    return [its for its in every if its]
