"""Training the codec (VAE) of a base model from scratch, and how well it reconstructs what it has not seen."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pipeline_tasks.diffusion.checkpoints import Checkpoints
from pipeline_tasks.diffusion.optimization import EMA_DECAY, Plan, optimize
from pipeline_tasks.diffusion.pictures import SHARES, Pictures
from pipeline_tasks.diffusion.views import Floats
from pipeline_tasks.params import Pretrain
from pipeline_tasks.seeds import derive_seed

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

KL_WEIGHT = 1e-4
"""Of the divergence per latent value; only keeps the latents near unit size (Rombach et al. 2022 take as little)."""
LEAST_CONTRAST = 0.3
"""Added to a picture's contrast, in units of -1..1, so that noise on a flat one does not count as much."""
STATISTICS_VIEWS = 2
"""Views of each image that the statistics of the latents are taken from."""
BATCH = 16
"""Pictures encoded together."""


def train_codec(
    codec: "AutoencoderKL",
    pictures: Pictures,
    params: Pretrain,
    seed: int,
    dtype: torch.dtype,
    checkpoints: Checkpoints,
    progress: Callable[[range], Iterator[int]],
) -> list[float]:
    """Train `codec` in place on random windows, half as wide as a view, and return the loss of every step.

    Afterwards the latents of `pictures` have mean 0 and deviation 1 in every channel.
    """
    plan = Plan(params.codec_steps, params.codec_learning_rate, EMA_DECAY, params.checkpoint_every_steps)
    loss_of = partial(_loss, codec, pictures, params.codec_batch_size, seed, dtype)
    losses = optimize(codec, loss_of, plan, checkpoints, progress)
    seen = (picture for kind in SHARES for picture in pictures.fixed(kind, STATISTICS_VIEWS, seed))
    standardise(codec, latents_of(codec, seen, dtype))
    return losses


@torch.no_grad()
def standardise(codec: "AutoencoderKL", latents: Tensor) -> None:
    """Change `codec` so that it codes as before, but `latents` [N, C, s, s] with mean 0 and deviation 1 per channel.

    It is done in the 1 x 1 convolutions around the latents; one scaling factor, as Stable Diffusion has, would leave
    the channels uneven, and noise is added to all alike.
    """
    mean, deviation = (f(latents, (0, 2, 3)).to(codec.device) for f in (torch.mean, torch.std))
    deviation = deviation.clamp(min=1e-4)
    into, out, count = codec.quant_conv, codec.post_quant_conv, len(mean)
    into.bias[:count] = (into.bias[:count] - mean) / deviation
    into.weight[:count] /= deviation[:, None, None, None]
    into.bias[count:] -= 2 * deviation.log()
    out.bias += out.weight[:, :, 0, 0] @ mean
    out.weight *= deviation[:, None, None]


def _loss(codec: "AutoencoderKL", pictures: Pictures, batch: int, seed: int, dtype: torch.dtype, step: int) -> Tensor:
    rng = np.random.default_rng(derive_seed(seed, "codec", step))
    side = window_px(codec, pictures.backend.resolution_px)
    pixels = torch.from_numpy(np.stack([_window(pictures, side, rng) for _ in range(batch)])).to(codec.device)
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    with torch.autocast(codec.device.type, dtype, enabled=dtype != torch.float32):
        posterior = codec.encode(pixels).latent_dist
        noise = torch.from_numpy(rng.standard_normal(posterior.mean.shape, dtype=np.float32)).to(codec.device)
        restored = codec.decode(posterior.mean + posterior.std * noise).sample.float()
    divergence = posterior.kl().mean() / posterior.mean[0].numel()
    loss: Tensor = codec_error(restored, pixels) + KL_WEIGHT * divergence
    return loss


def codec_error(restored: Tensor, pixels: Tensor) -> Tensor:
    """Return L1 + L2 of the pixels plus L1 of the steps between neighbours, all relative to each picture's contrast.

    Without the steps fine cracks and grain blur for long; without the contrast masks, which have the most, take all of
    the training.
    """
    error = restored - pixels
    weight = 1 / (pixels.std(dim=(1, 2, 3), keepdim=True) + LEAST_CONTRAST)
    steps = (weight * error.diff(dim=2)).abs().mean() + (weight * error.diff(dim=3)).abs().mean()
    return (weight * (error.abs() + error.square())).mean() + steps


def window_px(codec: "AutoencoderKL", resolution_px: int) -> int:
    """Return the side of the windows that the codec is trained on: half a view's, whole latent cells."""
    factor: int = 2 ** (len(codec.config.block_out_channels) - 1)
    return max(resolution_px // 2 // factor, 1) * factor


def _window(pictures: Pictures, side: int, rng: np.random.Generator) -> Floats:
    kind = pictures.draw_kind(rng)
    seen = pictures.draw(kind, int(rng.integers(len(pictures.images(kind)))), rng)
    y, x = rng.integers(seen.shape[1] - side + 1, size=2)
    return seen[:, y : y + side, x : x + side]


@torch.no_grad()
def latents_of(codec: "AutoencoderKL", pictures: Iterable[Floats], dtype: torch.dtype) -> Tensor:
    """Return the modes of the latents [N, C, s, s] of pictures, unscaled, on the CPU."""
    latents = []
    for pixels in _batches(pictures, codec.device):
        with torch.autocast(codec.device.type, dtype, enabled=dtype != torch.float32):
            latents.append(codec.encode(pixels).latent_dist.mode().float().cpu())
    return torch.cat(latents)


@torch.no_grad()
def reconstruction_psnr(codec: "AutoencoderKL", pictures: Iterable[Floats]) -> float:
    """Return the peak signal-to-noise ratio, in dB, of pictures coded and decoded, rounded to grey levels 0..255."""
    squares = []
    for pixels in _batches(pictures, codec.device):
        restored = codec.decode(codec.encode(pixels).latent_dist.mode()).sample
        squares.append((_levels(restored) - _levels(pixels)).square().flatten(1).mean(dim=1))
    return float(10 * torch.log10(255**2 / torch.cat(squares).mean()))


def _batches(pictures: Iterable[Floats], device: torch.device) -> Iterator[Tensor]:
    remaining = iter(pictures)
    while batch := list(islice(remaining, BATCH)):
        pixels = torch.from_numpy(np.stack(batch)).to(device)
        yield pixels.contiguous(memory_format=torch.channels_last)


def _levels(pixels: Tensor) -> Tensor:
    return ((pixels + 1) * 127.5).round().clamp(0, 255)
