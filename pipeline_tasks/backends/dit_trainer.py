"""Training the DiT generator, of several products at once (DefectDiffu; METHODS section 3)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pipeline_tasks.backends.protocol import Progress, TrainingSamples, some_of_each_product
from pipeline_tasks.diffusion.base_model import BaseModel
from pipeline_tasks.diffusion.checkpoints import Checkpoints
from pipeline_tasks.diffusion.training_loop import make_accelerator
from pipeline_tasks.dit.encoded_views import EncodedViews, encode_views
from pipeline_tasks.dit.generator import Generator
from pipeline_tasks.dit.initial import start as start_tdia
from pipeline_tasks.dit.initial import start_mask_head
from pipeline_tasks.dit.texts import TextBook
from pipeline_tasks.dit.training import MaskedTDIA, train
from pipeline_tasks.params import Params
from pipeline_tasks.seeds import derive_seed

if TYPE_CHECKING:
    from pipeline_tasks.diffusion.initial_transformer import Start


@dataclass(frozen=True)
class DitTrainer:
    """`Trainer` of protocol.py. The base is frozen; its UNet is not used.

    start: a pretrained DiT, whose noise schedule is then trained with; else the base's.
    """

    params: Params
    base: BaseModel
    start: "Start | None"

    def train(self, samples: TrainingSamples, seed: int, checkpoints: Checkpoints, progress: Progress) -> Generator:
        """See protocol.Trainer."""
        train_params, own, backend = self.params.train, self.params.train.dit, self.params.backend
        accelerator = make_accelerator(train_params, own)
        views, book = self._encoded(samples, seed, accelerator.device)
        network = self._network(views.latents.shape[-1], seed)
        scheduler = self.start.scheduler if self.start else self.base.scheduler
        losses = train(network, scheduler, views, book, accelerator, train_params, seed, checkpoints, progress)
        parts = (self.base, network.tdia, network.mask_head, scheduler)
        return Generator(*parts, backend.resolution_px, backend.view, own.one_prompt, losses)

    def _encoded(self, samples: TrainingSamples, seed: int, device: torch.device) -> tuple[EncodedViews, TextBook]:
        """Return views and texts to train on; the encoders then leave a GPU's memory: they are not needed again."""
        own = self.params.train.dit
        normals = some_of_each_product(samples.normals) if self.params.train.normal_fraction else ()
        self.base.vae.to(device, memory_format=torch.channels_last)
        torch.nn.Module.to(self.base.text_encoder, device)
        views = encode_views(
            self.base, samples.defects, normals, samples.prompts, self.params.backend, own.views_per_image, seed
        )
        book = TextBook.of(self.base, views.names, one_prompt=own.one_prompt)
        self.base.vae.cpu()
        self.base.text_encoder.cpu()
        return views, book

    def _network(self, sample_size: int, seed: int) -> MaskedTDIA:
        """Return what is trained, for latents of `sample_size` cells a side."""
        transformer = self.start.transformer if self.start else None
        own, seeds = self.params.train.dit, [derive_seed(seed, name) for name in ("transformer", "mask head")]
        tdia = start_tdia(own, self.base, sample_size, transformer, seeds[0])
        return MaskedTDIA(tdia, start_mask_head(tdia, self.base, seeds[1]))
