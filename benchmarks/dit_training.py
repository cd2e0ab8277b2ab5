"""What `training_step.py --backend dit` runs."""

import argparse
from collections.abc import Callable, Iterator

import torch
from random_models import DEFECT, PRODUCT, random_dit

from pipeline_tasks.diffusion.base_model import BaseModel
from pipeline_tasks.diffusion.device import pick_device, pick_dtype
from pipeline_tasks.dit.encoded_views import EncodedViews, Seen
from pipeline_tasks.dit.objective import Objective
from pipeline_tasks.dit.texts import Names, PartText, PartTexts, TextBook, texts_of
from pipeline_tasks.dit.training import MaskedTDIA, train
from pipeline_tasks.params import Train

VIEWS = 64
NAMES = Names(PRODUCT, DEFECT)
Progress = Callable[[range], Iterator[int]]


class NoCheckpoints:
    """Checkpoints that keep nothing."""

    def load(self) -> None:
        """Return that there is no state."""

    def save(self, state: dict[str, torch.Tensor]) -> None:
        """Forget `state`."""


def dit(base: BaseModel, asked: argparse.Namespace, params: Train, progress: Progress) -> None:
    """Train as the trainer does. What it encodes once is drawn here instead: its time is not a step's."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=pick_device("auto").type == "cpu", mixed_precision="no")
    side, channels = asked.resolution // base.factor, base.vae.config.latent_channels
    latents, mask_latents = torch.randn(2, VIEWS, channels, side, side)
    views = EncodedViews(latents, (torch.rand(VIEWS, 1, side, side) < 0.1).float(), mask_latents, [NAMES] * VIEWS)
    book = TextBook.of(base, [NAMES], one_prompt=False)
    network = trainable(base, asked, params)
    for frozen in (base.vae, base.text_encoder, base.unet):
        frozen.cpu()
    train(network, base.scheduler, views, book, accelerator, params, 0, NoCheckpoints(), progress)


def plain_dit(base: BaseModel, asked: argparse.Namespace, params: Train, progress: Progress) -> None:
    """Train with the encoders in the loop; losses are read at every step."""
    device, count = pick_device("auto"), params.batch_size
    dtype = pick_dtype("auto", device)
    network = trainable(base, asked, params).to(device)
    base.to(device, dtype if device.type == "cuda" else torch.float32)
    base.unet.cpu()
    optimizer = torch.optim.AdamW(network.parameters(), lr=params.learning_rate)
    objective, named = Objective(base.scheduler, params.dit), torch.ones(count, dtype=torch.bool, device=device)
    pixels = torch.rand(VIEWS, 3, asked.resolution, asked.resolution) * 2 - 1
    masks = (torch.rand(VIEWS, 1, asked.resolution, asked.resolution) < 0.1).float()
    for _ in progress(range(params.steps)):
        chosen, times = torch.randint(VIEWS, (count,)), torch.randint(1000, (count,)).to(device)
        seen = encoded(base, pixels[chosen].to(device), masks[chosen].to(device))
        noise = torch.randn_like(seen.latents)
        noised = base.scheduler.add_noise(seen.latents, noise, times)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            predicted = network(noised, times, embedded(base, count), slice(None))
        loss = objective(predicted, seen, noise, times, named)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()


def trainable(base: BaseModel, asked: argparse.Namespace, params: Train) -> MaskedTDIA:
    """Return a TDIA with its mask head, ready to be trained."""
    generator = random_dit(base, asked.size, params.dit, asked.resolution)
    network = MaskedTDIA(generator.tdia, generator.mask_head)
    network.train().requires_grad_(True)
    return network


def encoded(base: BaseModel, pixels: torch.Tensor, masks: torch.Tensor) -> Seen:
    """Return what is learned from pixels [B, 3, S, S] in -1..1 and masks [B, 1, S, S]."""
    cells = torch.nn.functional.avg_pool2d(masks, base.factor)
    return Seen(base.encode(pixels).float(), cells, base.encode((2 * masks - 1).expand(-1, 3, -1, -1)).float())


def embedded(base: BaseModel, count: int) -> PartTexts:
    """Return the texts of `count` images, each embedded anew and at the text encoder's full length."""
    embedding = [base.embed([text] * count).float() for text in texts_of(NAMES)]
    every = torch.ones(embedding[0].shape[:2], dtype=torch.bool, device=embedding[0].device)
    return PartTexts(*(PartText(part, every) for part in embedding), name=every)
