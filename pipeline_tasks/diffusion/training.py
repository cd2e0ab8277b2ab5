"""Training the inpainting network, resumable at a checkpoint: on one machine's CPU to the bit as without a break."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from pipeline_tasks.diffusion.flow import hole_loss
from pipeline_tasks.diffusion.network import condition_planes, velocity
from pipeline_tasks.diffusion.source import Grain, start
from pipeline_tasks.diffusion.training_windows import DefectImage, Window, defect_window, flipped, normal_window
from pipeline_tasks.images.codec import Pixels
from pipeline_tasks.params import Train
from pipeline_tasks.seeds import derive_seed

if TYPE_CHECKING:
    from diffusers import UNet2DModel

WARMUP_STEPS = 20


class Checkpoints(Protocol):
    """Where training leaves its state between steps: tensors by name, as safetensors holds them."""

    def load(self) -> dict[str, Tensor] | None:
        """Return the newest state, or None if there is none."""

    def save(self, state: dict[str, Tensor]) -> None:
        """Keep `state` in place of the one before."""


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
    unet.to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(unet.parameters(), lr=params.learning_rate, weight_decay=1e-4)
    average = {name: value.detach().clone() for name, value in unet.named_parameters()}
    losses: list[float] = []
    if state := checkpoints.load():
        losses = _restore(state, unet, optimizer, average)
    for step in progress(range(len(losses), params.steps)):
        for group in optimizer.param_groups:
            group["lr"] = params.learning_rate * _schedule(step, params.steps)
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            losses.append(_step(unet, optimizer, data, params, derive_seed(seed, "train", step), device, dtype))
        decay = min(params.ema_decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, value in unet.named_parameters():
                average[name].lerp_(value, 1 - decay)
        if (step + 1) % params.checkpoint_every_steps == 0 and step + 1 < params.steps:
            checkpoints.save(_state(unet, optimizer, average, losses))
    with torch.no_grad():
        for name, value in unet.named_parameters():
            value.copy_(average[name])
    unet.eval()
    return losses


def _schedule(step: int, steps: int) -> float:
    return min(1.0, (step + 1) / WARMUP_STEPS) * 0.5 * (1 + math.cos(math.pi * step / steps))


def _step(
    unet: "UNet2DModel",
    optimizer: torch.optim.Optimizer,
    data: TrainingSet,
    params: Train,
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
) -> float:
    rng = np.random.default_rng(seed)
    windows = [_draw(data, params, rng) for _ in range(params.batch_size)]
    pixels, hole, condition = (t.to(device) for t in to_tensors(windows, data.defect_count))
    side = params.window_px
    starts = [start(data.grain.noise(side, side, rng), w.mask, w.code, data.grain.deviation) for w in windows]
    noise = torch.from_numpy(np.stack(starts)).permute(0, 3, 1, 2).to(device)
    # Logit-normal times put the effort where the path is hardest to predict (Esser et al. 2024).
    time = torch.sigmoid(torch.from_numpy(rng.standard_normal(len(windows), dtype=np.float32))).to(device)
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        loss = hole_loss(lambda x, t: velocity(unet, x, condition, t), pixels, hole, noise, time)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


def _draw(data: TrainingSet, params: Train, rng: np.random.Generator) -> Window:
    image = data.defects[rng.integers(len(data.defects))]
    window = defect_window(image, params.window_px, params.dilation_px, data.scale, rng)
    if data.normals and rng.random() < params.normal_fraction:
        window = normal_window(data.normals[rng.integers(len(data.normals))], window, data.scale, rng)
    return flipped(window, rng)


def to_tensors(windows: list[Window], defect_count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return pixels [B, 3, S, S], hole [B, 1, S, S] and condition [B, C, S, S] of equally large windows."""
    pixels = torch.from_numpy(np.stack([w.pixels for w in windows])).permute(0, 3, 1, 2).float()
    hole = torch.from_numpy(np.stack([w.hole for w in windows]))[:, None].float()
    mask = torch.from_numpy(np.stack([w.mask for w in windows]))[:, None].float()
    code = torch.from_numpy(np.stack([w.code for w in windows]))
    defect = torch.tensor([w.defect for w in windows])
    return pixels, hole, condition_planes(hole, mask, code, defect, defect_count)


def _state(
    unet: "UNet2DModel", optimizer: torch.optim.Optimizer, average: dict[str, Tensor], losses: list[float]
) -> dict[str, Tensor]:
    state = {"losses": torch.tensor(losses, dtype=torch.float64)}
    for name, value in unet.named_parameters():
        moments = optimizer.state[value]
        state |= {f"weight.{name}": value.detach(), f"average.{name}": average[name]}
        state |= {f"first.{name}": moments["exp_avg"], f"second.{name}": moments["exp_avg_sq"]}
    return {name: value.cpu().contiguous() for name, value in state.items()}


def _restore(
    state: dict[str, Tensor], unet: "UNet2DModel", optimizer: torch.optim.Optimizer, average: dict[str, Tensor]
) -> list[float]:
    losses: list[float] = state["losses"].tolist()
    with torch.no_grad():
        for name, value in unet.named_parameters():
            value.copy_(state[f"weight.{name}"])
            average[name].copy_(state[f"average.{name}"])
            optimizer.state[value] = {
                "step": torch.tensor(float(len(losses))),
                "exp_avg": torch.empty_like(value).copy_(state[f"first.{name}"]),
                "exp_avg_sq": torch.empty_like(value).copy_(state[f"second.{name}"]),
            }
    return losses
