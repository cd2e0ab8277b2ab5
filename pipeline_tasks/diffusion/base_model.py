"""A frozen latent diffusion model of the Stable Diffusion 1.5 family: codec, text encoder, UNet, noise schedule."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipeline_tasks.diffusion.pipeline_files import WEIGHTS, files_in, variant_of
from pipeline_tasks.errors import ModelError

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer


@dataclass(frozen=True)
class BaseModel:
    """The parts of a diffusers pipeline folder, in evaluation mode, without gradients.

    `digest` is the SHA-256 (hex) of the weights and configurations.
    """

    vae: "AutoencoderKL"
    text_encoder: "CLIPTextModel"
    tokenizer: "CLIPTokenizer"
    unet: "UNet2DConditionModel"
    scheduler: "DDIMScheduler"
    digest: str

    @property
    def factor(self) -> int:
        """Pixels per latent cell along each axis."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    @property
    def inpaints(self) -> bool:
        """Whether the UNet also takes a mask and the masked image's latents (9 channels, the inpainting sibling)."""
        return bool(self.unet.config.in_channels == 2 * self.vae.config.latent_channels + 1)

    def to(self, device: torch.device, dtype: torch.dtype = torch.float32) -> "BaseModel":
        """Move the networks, channels last; return self."""
        for network in (self.vae, self.text_encoder, self.unet):
            torch.nn.Module.to(network, device, dtype)  # diffusers' own warns of every dtype
        for network in (self.vae, self.unet):
            network.to(memory_format=torch.channels_last)
        return self

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        """Return the latents [B, C, S/f, S/f], scaled to unit variance, of `pixels` [B, 3, S, S] in -1..1: the mode."""
        mode: Tensor = self.vae.encode(pixels.to(self.vae.device, self.vae.dtype)).latent_dist.mode()
        latents: Tensor = mode * self.vae.config.scaling_factor
        return latents

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Return pixels [B, 3, S, S], about -1..1, of `latents` as `encode` returns them."""
        scaled = latents.to(self.vae.device, self.vae.dtype) / self.vae.config.scaling_factor
        pixels: Tensor = self.vae.decode(scaled).sample
        return pixels

    @torch.no_grad()
    def embed(self, prompts: Sequence[str]) -> Tensor:
        """Return the text embeddings [B, tokens, width] of `prompts`; what exceeds the model's tokens is cut off."""
        tokens = tokens_of(self.tokenizer, prompts, self.text_encoder.config.max_position_embeddings)
        embedded: Tensor = self.text_encoder(tokens.to(self.text_encoder.device)).last_hidden_state
        return embedded


def tokens_of(tokenizer: "CLIPTokenizer", prompts: Sequence[str], length: int) -> Tensor:
    """Return the token numbers [B, length] of `prompts`, padded; what exceeds `length` is cut off."""
    tokens = tokenizer(list(prompts), padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    numbers: Tensor = tokens.input_ids
    return numbers


def open_pipeline(folder: Path, digest: str) -> BaseModel:
    """Load a diffusers pipeline folder in float32, safetensors only; DDIM samples on the checkpoint's noise schedule.

    Raises ModelError for files that cannot be loaded.
    """
    try:
        model = _opened(folder, digest)
    except Exception as error:  # diffusers, transformers and safetensors raise many kinds on damaged files
        reason = " ".join(str(error).split())
        raise ModelError(f"{folder}: the pipeline cannot be loaded ({reason}); make or download it again") from error
    for network in (model.vae, model.text_encoder, model.unet):
        network.eval().requires_grad_(False)
    return model


def _opened(folder: Path, digest: str) -> BaseModel:
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    present = files_in(folder)
    own = {
        part: {"use_safetensors": True, "local_files_only": True, "variant": variant_of(part, present)}
        for part in WEIGHTS
    }
    return BaseModel(
        AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32, **own["vae"]),
        CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32, **own["text_encoder"]),
        CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True),
        UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32, **own["unet"]),
        DDIMScheduler.from_pretrained(folder / "scheduler", clip_sample=False, set_alpha_to_one=False),
        digest,
    )
