"""A small latent diffusion model of drawn masks, trained in seconds: inversion means nothing with random weights."""

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tiny_base import save_tiny_pipeline
from torch import Tensor
from torch.nn import functional

from pipeline_tasks.diffusion.base_model import BaseModel, open_pipeline
from pipeline_tasks.diffusion.views import mask_box, see_mask_as_picture

SIZE_PX = 32


def drawn_mask(rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return one to three overlapping ellipses somewhere in an image of 80 x 100 px."""
    mask = np.zeros((80, 100), np.uint8)
    for _ in range(int(rng.integers(1, 4))):
        middle, radii = rng.integers(30, 50, 2), rng.integers(5, 12, 2)
        axes, centre = (int(radii[0]), int(radii[1])), (int(middle[0]), int(middle[1]))
        cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    return mask.astype(bool)


def trained_mask_model(folder: Path, codec_steps: int = 250, unet_steps: int = 200) -> BaseModel:
    """Train the codec, then the UNet, of a tiny pipeline on drawn masks."""
    base = open_pipeline(save_tiny_pipeline(folder, seed=1), "trained")
    rng = np.random.default_rng(0)
    drawn = (drawn_mask(rng) for _ in range(512))
    images = torch.from_numpy(np.stack([see_mask_as_picture(mask, mask_box(mask), SIZE_PX) for mask in drawn]))
    _train_codec(base, images, codec_steps, rng)
    latents = torch.cat([base.encode(part) for part in images.split(64)])
    base.vae.register_to_config(scaling_factor=float(base.vae.config.scaling_factor / latents.std()))
    _train_unet(base, latents / latents.std(), unet_steps, rng)
    return base


def _train_codec(base: BaseModel, images: Tensor, steps: int, rng: np.random.Generator) -> None:
    vae = base.vae.train().requires_grad_(True)
    optimiser = torch.optim.AdamW(vae.parameters(), 4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    for _ in range(steps):
        batch = images[rng.integers(0, len(images), 8)]
        latents = vae.encode(batch).latent_dist.mode()
        latents = latents + 0.1 * _noise_like(latents, rng)
        loss = functional.mse_loss(vae.decode(latents).sample, batch) + 1e-3 * latents.square().mean()
        _step(optimiser, loss)
        schedule.step()
    vae.eval().requires_grad_(False)


def _train_unet(base: BaseModel, latents: Tensor, steps: int, rng: np.random.Generator) -> None:
    unet, prompt = base.unet.train().requires_grad_(True), base.embed(["mask"])
    optimiser = torch.optim.AdamW(unet.parameters(), 4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    for _ in range(steps):
        clean = latents[rng.integers(0, len(latents), 16)]
        noise, times = _noise_like(clean, rng), torch.from_numpy(rng.integers(0, 1000, len(clean)))
        noised = base.scheduler.add_noise(clean, noise, times)
        predicted = unet(noised, times, prompt.expand(len(clean), -1, -1)).sample
        _step(optimiser, functional.mse_loss(predicted, noise))
        schedule.step()
    unet.eval().requires_grad_(False)


def _noise_like(tensor: Tensor, rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.standard_normal(tensor.shape).astype(np.float32))


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
