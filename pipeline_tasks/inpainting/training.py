"""Training the inpainting network, resumable at a checkpoint: on one machine's CPU to the bit as without a break."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pipeline_tasks.diffusion.checkpoints import Checkpoints
from pipeline_tasks.diffusion.optimization import Plan, optimize
from pipeline_tasks.images.codec import Pixels
from pipeline_tasks.inpainting.flow import hole_loss
from pipeline_tasks.inpainting.network import condition_planes, velocity
from pipeline_tasks.inpainting.source import Grain, start
from pipeline_tasks.inpainting.training_windows import (
    DefectImage,
    Window,
    defect_window,
    flipped,
    normal_window,
    uncoded,
)
from pipeline_tasks.params import Train
from pipeline_tasks.seeds import derive_seed

if TYPE_CHECKING:
    from diffusers import UNet2DModel


@dataclass(frozen=True)
class TrainingSet:
    """Decoded base samples: every defect image, the normal images, the pixel scale in grey levels, the grain."""

    defects: list[DefectImage]
    normals: list[Pixels]
    scale: float
    grain: Grain
    defect_count: int


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
    return optimize(unet, loss_of, plan, checkpoints, progress)


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
    pixels, hole, condition = (t.to(device) for t in to_tensors(windows, data.defect_count))
    side = params.inpainting.window_px
    starts = [start(data.grain.noise(side, side, rng), w.mask, w.code, data.grain.deviation) for w in windows]
    noise = torch.from_numpy(np.stack(starts)).permute(0, 3, 1, 2).to(device)
    # Logit-normal times put the effort where the path is hardest to predict (Esser et al. 2024).
    time = torch.sigmoid(torch.from_numpy(rng.standard_normal(len(windows), dtype=np.float32))).to(device)
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        return hole_loss(lambda x, t: velocity(unet, x, condition, t), pixels, hole, noise, time)


def _draw(data: TrainingSet, params: Train, rng: np.random.Generator) -> Window:
    image = data.defects[rng.integers(len(data.defects))]
    window = defect_window(image, params.inpainting.window_px, params.inpainting.dilation_px, data.scale, rng)
    if data.normals and rng.random() < params.normal_fraction:
        window = normal_window(data.normals[rng.integers(len(data.normals))], window, data.scale, rng)
    return flipped(window if params.inpainting.appearance_code else uncoded(window), rng)


def to_tensors(windows: list[Window], defect_count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return pixels [B, 3, S, S], hole [B, 1, S, S] and condition [B, C, S, S] of equally large windows."""
    pixels = torch.from_numpy(np.stack([w.pixels for w in windows])).permute(0, 3, 1, 2).float()
    hole = torch.from_numpy(np.stack([w.hole for w in windows]))[:, None].float()
    mask = torch.from_numpy(np.stack([w.mask for w in windows]))[:, None].float()
    code = torch.from_numpy(np.stack([w.code for w in windows]))
    defect = torch.tensor([w.defect for w in windows])
    return pixels, hole, condition_planes(hole, mask, code, defect, defect_count)
