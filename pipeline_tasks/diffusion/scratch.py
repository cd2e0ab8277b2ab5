"""A base model trained from scratch: tokenizer and codec first, then text encoder and UNet on the codec's latents."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipeline_tasks.diffusion.checkpoints import Checkpoints
from pipeline_tasks.diffusion.codec_training import latents_of, reconstruction_psnr, train_codec
from pipeline_tasks.diffusion.pictures import SHARES, Pictures
from pipeline_tasks.diffusion.scratch_networks import make_codec, make_scheduler, make_text_encoder, make_unet
from pipeline_tasks.diffusion.text_tokens import train_tokenizer
from pipeline_tasks.diffusion.unet_training import Denoiser, LatentPictures
from pipeline_tasks.diffusion.weights import CARD, describe
from pipeline_tasks.params import Pretrain
from pipeline_tasks.seeds import derive_seed
from pipeline_tasks.storage import write_json

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

FINISHED = "codec"
"""Name of the finished codec in the state that checkpoints hold."""
TEST_VIEWS = 8
"""Views of each held-out image that the reconstruction is measured on."""


@dataclass(frozen=True)
class ScratchBase:
    """A trained base model, the loss of every step, and how well its codec reconstructs held-out images."""

    vae: "AutoencoderKL"
    denoiser: Denoiser
    codec_losses: list[float]
    unet_losses: list[float]
    codec_psnr_db: float | None

    def save(self, folder: Path) -> None:
        """Write a folder that diffusers' StableDiffusionPipeline.from_pretrained loads, and pretrained.json."""
        from diffusers import StableDiffusionPipeline
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        parts = {name: getattr(self.denoiser, name) for name in ("text_encoder", "tokenizer", "unet", "scheduler")}
        extras = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        StableDiffusionPipeline(vae=self.vae, **parts, **extras).save_pretrained(folder, safe_serialization=True)
        figures = {
            "codec_psnr_db": self.codec_psnr_db,
            "codec_loss": _last(self.codec_losses),
            "unet_loss": _last(self.unet_losses),
        }
        write_json(folder / CARD, {"source": "scratch", "revision": None, **figures, **describe(folder)})


def _last(losses: Sequence[float]) -> float:
    """Return the mean of the last tenth."""
    last = losses[-max(1, len(losses) // 10) :]
    return sum(last) / len(last)


@dataclass(frozen=True)
class ScratchTraining:
    """Trains a base model. Every step draws from a seed of its own: one resumed in any part equals an unbroken one."""

    params: Pretrain
    seed: int
    device: torch.device
    dtype: torch.dtype
    checkpoints: Checkpoints
    progress: Callable[[str, range], Iterator[int]]

    def run(self, pictures: Pictures, codec_pictures: Pictures, held_out: Pictures) -> ScratchBase:
        """Return the base model trained on `pictures`, its codec on `codec_pictures`.

        The codec is measured on views of the normal images of `held_out`, which must not be among `codec_pictures`.
        """
        vae, codec_losses = self._codec(codec_pictures)
        denoiser, unet_losses = self._denoiser(vae, pictures)
        views = held_out.fixed("normal", TEST_VIEWS, derive_seed(self.seed, "test views"))
        psnr = reconstruction_psnr(vae, views) if held_out.normals else None
        return ScratchBase(vae, denoiser, codec_losses, unet_losses, psnr)

    def _codec(self, pictures: Pictures) -> tuple["AutoencoderKL", list[float]]:
        vae = make_codec(self.params, pictures.backend.resolution_px, self.seed)
        vae.to(self.device, memory_format=torch.channels_last)
        finished = _Part(self.checkpoints, FINISHED)
        if state := finished.load():
            losses: list[float] = state.pop("losses").tolist()
            vae.load_state_dict(state)
            return vae.eval(), losses
        part, bar = _Part(self.checkpoints, "codec training"), partial(self.progress, "codec")
        losses = train_codec(vae, pictures, self.params, self.seed, self.dtype, part, bar)
        weights = {name: value.cpu().contiguous() for name, value in vae.state_dict().items()}
        finished.save(weights | {"losses": torch.tensor(losses, dtype=torch.float64)})
        return vae, losses

    def _latents(self, vae: "AutoencoderKL", pictures: Pictures) -> list[LatentPictures]:
        count = self.params.views_per_image
        return [
            LatentPictures(
                latents_of(vae, pictures.fixed(kind, count, self.seed), self.dtype),
                [prompt for prompt in pictures.prompts(kind) for _ in range(count)],
                share,
            )
            for kind, share in SHARES.items()
            if pictures.images(kind)
        ]

    def _denoiser(self, vae: "AutoencoderKL", pictures: Pictures) -> tuple[Denoiser, list[float]]:
        latents = self._latents(vae, pictures)
        tokenizer = train_tokenizer([prompt for kind in SHARES for prompt in pictures.prompts(kind)])
        unet = make_unet(self.params, latents[0].latents.shape[-1], self.seed)
        denoiser = Denoiser(
            make_text_encoder(self.params, tokenizer, self.seed).to(self.device),
            unet.to(self.device, memory_format=torch.channels_last),
            tokenizer,
            make_scheduler(),
        )
        part, bar = _Part(self.checkpoints, "unet training", FINISHED), partial(self.progress, "unet")
        return denoiser, denoiser.train(latents, self.params, self.seed, self.dtype, part, bar)


@dataclass(frozen=True)
class _Part:
    """The state of one part of the training; it replaces that of any other part but the one called `beside`."""

    checkpoints: Checkpoints
    name: str
    beside: str = ""

    def load(self) -> dict[str, Tensor] | None:
        return _within(self.checkpoints.load() or {}, self.name) or None

    def save(self, state: dict[str, Tensor]) -> None:
        kept = _within(self.checkpoints.load() or {}, self.beside) if self.beside else {}
        self.checkpoints.save(_called(self.name, state) | _called(self.beside, kept))


def _within(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}: "): value for key, value in state.items() if key.startswith(f"{name}: ")}


def _called(name: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{name}: {key}": value for key, value in state.items()}
