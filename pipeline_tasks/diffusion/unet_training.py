"""Training the text encoder and the UNet of a base model from scratch, on latents that were encoded once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from pipeline_tasks.diffusion.base_model import tokens_of
from pipeline_tasks.diffusion.checkpoints import Checkpoints
from pipeline_tasks.diffusion.optimization import EMA_DECAY, Plan, optimize
from pipeline_tasks.params import Pretrain
from pipeline_tasks.seeds import derive_seed

if TYPE_CHECKING:
    from diffusers import DDIMScheduler, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

EMPTY_FRACTION = 0.1
"""Share of empty prompts, for classifier-free guidance (Ho & Salimans 2022)."""


@dataclass(frozen=True)
class LatentPictures:
    """Pictures of one kind: scaled latents [N, C, s, s], the prompt of each, how often the kind is seen."""

    latents: Tensor
    prompts: list[str]
    share: float


@dataclass(frozen=True)
class Denoiser:
    """What is trained together, with what stays as it is."""

    text_encoder: "CLIPTextModel"
    unet: "UNet2DConditionModel"
    tokenizer: "CLIPTokenizer"
    scheduler: "DDIMScheduler"

    def train(
        self,
        pictures: Sequence[LatentPictures],
        params: Pretrain,
        seed: int,
        dtype: torch.dtype,
        checkpoints: Checkpoints,
        progress: Callable[[range], Iterator[int]],
    ) -> list[float]:
        """Train text encoder and UNet in place and return the loss of every step."""

        def loss_of(step: int) -> Tensor:
            return self.loss(
                pictures, params.unet_batch_size, np.random.default_rng(derive_seed(seed, "unet", step)), dtype
            )

        networks = nn.ModuleDict({"text_encoder": self.text_encoder, "unet": self.unet})
        plan = Plan(params.unet_steps, params.unet_learning_rate, EMA_DECAY, params.checkpoint_every_steps)
        return optimize(networks, loss_of, plan, checkpoints, progress)

    def loss(
        self, pictures: Sequence[LatentPictures], batch: int, rng: np.random.Generator, dtype: torch.dtype
    ) -> Tensor:
        """Return the mean squared error of the predicted velocity (Salimans & Ho 2022, section 4) on random pictures.

        The times of a batch are spread evenly over the schedule, which makes the loss less noisy.
        """
        latents, prompts = _drawn(pictures, batch, rng)
        noise = torch.from_numpy(rng.standard_normal(latents.shape, dtype=np.float32))
        steps = self.scheduler.config.num_train_timesteps
        times = torch.from_numpy(((np.arange(batch) + rng.random(batch)) / batch * steps).astype(np.int64))
        noised = self.scheduler.add_noise(latents, noise, times).to(self.unet.device)
        target = self.scheduler.get_velocity(latents, noise, times).to(self.unet.device)
        with torch.autocast(self.unet.device.type, dtype, enabled=dtype != torch.float32):
            noised = noised.contiguous(memory_format=torch.channels_last)
            predicted = self.unet(noised, times.to(self.unet.device), self._texts(prompts)).sample
        return nn.functional.mse_loss(predicted.float(), target)

    def _texts(self, prompts: list[str]) -> Tensor:
        """Return the text embeddings [B, tokens, width] with gradients; equal prompts are embedded once."""
        distinct = sorted(set(prompts))
        tokens = tokens_of(self.tokenizer, distinct, self.tokenizer.model_max_length).to(self.text_encoder.device)
        embedded: Tensor = self.text_encoder(tokens).last_hidden_state
        return embedded[[distinct.index(prompt) for prompt in prompts]]


def _drawn(pictures: Sequence[LatentPictures], batch: int, rng: np.random.Generator) -> tuple[Tensor, list[str]]:
    shares = np.array([kind.share for kind in pictures])
    latents, prompts = [], []
    for number in rng.choice(len(pictures), size=batch, p=shares / shares.sum()):
        index = int(rng.integers(len(pictures[number].latents)))
        latents.append(pictures[number].latents[index])
        prompts.append("" if rng.random() < EMPTY_FRACTION else pictures[number].prompts[index])
    return torch.stack(latents), prompts
