"""A prior of a tiny network, and scenes that cost nothing to draw."""

from pathlib import Path

import numpy as np
import torch

from pipeline_tasks.drawing.scene import Scene
from pipeline_tasks.inpainting.network import make_unet
from pipeline_tasks.inpainting.prior_weights import save_prior

CHANNELS = [8, 16]


def write_prior(folder: Path, seed: int = 3) -> Path:
    """Write a prior whose weights are all random, also those that a fresh network has at zero."""
    folder.mkdir(parents=True)
    unet = make_unet(0, CHANNELS, seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for weight in unet.parameters():
            torch.nn.init.normal_(weight, std=0.1)
    save_prior(unet, folder, {"seed": seed, "steps": 4, "scenes": 16, "window_px": 32, "parameters": 1000})
    return folder


def draw(seed: int, side_px: int) -> Scene:
    """Return noise with a dark rectangle, which is wider on every other seed."""
    rng = np.random.default_rng(seed)
    clean = rng.integers(90, 140, (side_px, side_px, 3)).astype(np.uint8)
    mask = np.zeros((side_px, side_px), bool)
    mask[12 : 16 + 6 * (seed % 2), 8:28] = True
    pixels = np.where(mask[..., None], clean // 3, clean)
    return Scene(pixels, clean, mask, ("felt", "tile")[seed % 2], ("pit", "scratch")[seed % 2])
