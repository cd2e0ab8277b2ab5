"""The detector: a small U-Net that segments defects; learns from windows, scores whole images (METHODS section 5)."""

import contextlib
import io
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from monai.losses import DiceCELoss
from monai.networks.nets import BasicUNet
from torch import Tensor, nn

from pipeline_tasks.diffusion.device import pick_device, pick_dtype
from pipeline_tasks.params import Evaluate
from pipeline_tasks.quality.windows import Floats, Scene, TrainingWindows
from pipeline_tasks.seeds import derive_seed

MULTIPLE_PX = 16
"""Sides must divide by this: the U-Net halves them four times."""


def build_network(features: Sequence[int], seed: int) -> nn.Module:
    """Return MONAI's BasicUNet, RGB [B, 3, H, W] -> logits [B, 1, H, W], with weights drawn from `seed`.

    features: widths of its five levels, finest first. Batch normalisation, because the statistics of a window around a
    defect would differ from those of the whole image.
    """
    with torch.random.fork_rng(devices=[]), contextlib.redirect_stdout(io.StringIO()):  # its constructor prints
        torch.manual_seed(seed)
        network: nn.Module = BasicUNet(2, 3, 1, features=(*features, features[0]), norm="batch").to(
            memory_format=torch.channels_last
        )
    return network


def train_detector(
    real: Sequence[Scene], synthetic: Sequence[Scene], params: Evaluate, seed: int, advance: Callable[[], object]
) -> nn.Module:
    """Train a detector for `params.steps` optimiser steps, whatever the data; `advance` is called after each.

    Dice and cross-entropy over the whole batch, because defects are 0.04-6% of the area and many windows hold none;
    AdamW, cosine decay. Equal arguments give equal weights on one machine's CPU; initial weights are the seed's alone.
    Raises ConfigError if the device is not there.
    """
    device = pick_device(params.device)
    network = build_network(params.features, derive_seed(seed, "weights")).to(device)
    optimiser = torch.optim.AdamW(network.parameters(), params.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, params.steps)
    windows, rng = TrainingWindows(real, synthetic, params), np.random.default_rng(derive_seed(seed, "windows"))
    loss_of = DiceCELoss(sigmoid=True, batch=True)
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        for _ in range(params.steps):
            images, masks = windows.draw(rng)
            loss = loss_of(_logits(network, images, device), torch.from_numpy(masks).to(device))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            advance()
    return network.eval()


def score_map(network: nn.Module, scene: Scene) -> Floats:
    """Return the logit of 'defect' for every pixel of `scene`, [H, W]: fully convolutional, padded, cropped back."""
    height, width = scene.mask.shape
    pad = (0, -height % MULTIPLE_PX, 0, -width % MULTIPLE_PX)
    padded = cv2.copyMakeBorder(scene.pixels, *pad, cv2.BORDER_REPLICATE)
    image = scene.normalised(padded).transpose(2, 0, 1)[None]
    with torch.no_grad():
        logits = _logits(network, image, next(network.parameters()).device)
    return np.asarray(logits[0, 0, :height, :width].cpu().numpy(), np.float32)


def describe_detector(params: Evaluate) -> dict[str, Any]:
    """Return what is to be known of the detector beside its scores."""
    device = pick_device(params.device)
    return {
        "network": "MONAI BasicUNet",
        "loss": "MONAI DiceCELoss",
        "optimiser": "AdamW, cosine decay",
        "augmentation": "flips",
        "device": device.type,
        "precision": str(pick_dtype("auto", device)).removeprefix("torch."),
    } | params.model_dump(exclude={"seeds", "device"})


def _logits(network: nn.Module, images: Floats, device: torch.device) -> Tensor:
    batch = torch.from_numpy(images).to(device, memory_format=torch.channels_last)
    with torch.autocast(device.type, pick_dtype("auto", device)):
        logits: Tensor = network(batch)
    return logits.float()
