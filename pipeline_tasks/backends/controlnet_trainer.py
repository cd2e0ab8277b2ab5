"""Training the ControlNet generator, of one product or of several at once (METHODS section 3)."""

from dataclasses import dataclass

import torch

from pipeline_tasks.backends.protocol import Progress, TrainingSamples, some_of_each_product
from pipeline_tasks.controlnet.encoded_views import EncodedViews, encode_views
from pipeline_tasks.controlnet.generator import Generator, with_noise_schedule
from pipeline_tasks.controlnet.lora import add_lora
from pipeline_tasks.controlnet.network import make_control
from pipeline_tasks.controlnet.training import train
from pipeline_tasks.diffusion.base_model import BaseModel
from pipeline_tasks.diffusion.checkpoints import Checkpoints
from pipeline_tasks.diffusion.training_loop import make_accelerator
from pipeline_tasks.params import Params
from pipeline_tasks.seeds import derive_seed


@dataclass(frozen=True)
class ControlNetTrainer:
    """`Trainer` of protocol.py. The base is frozen; with `lora_rank` its UNet takes on adapters."""

    params: Params
    base: BaseModel

    def train(self, samples: TrainingSamples, seed: int, checkpoints: Checkpoints, progress: Progress) -> Generator:
        """See protocol.Trainer."""
        train_params, own, backend = self.params.train, self.params.train.controlnet, self.params.backend
        accelerator = make_accelerator(train_params, own)
        base = with_noise_schedule(self.base, own.noise_schedule)
        views = self._encoded_views(samples, seed, accelerator.device)
        control = make_control(base, derive_seed(seed, "control"))
        if own.lora_rank:
            add_lora(base.unet, own.lora_rank, derive_seed(seed, "lora"))
        losses = train(base, control, views, accelerator, train_params, seed, checkpoints, progress)
        return Generator(base, control, backend.resolution_px, backend.view, own.noise_schedule, own.lora_rank, losses)

    def _encoded_views(self, samples: TrainingSamples, seed: int, device: torch.device) -> EncodedViews:
        """Return the views to train on; the encoders then leave a GPU's memory, since they are not needed again."""
        normals = some_of_each_product(samples.normals) if self.params.train.normal_fraction else ()
        views = encode_views(
            self.base.to(device),
            samples.defects,
            normals,
            samples.prompts,
            self.params.backend,
            self.params.train.controlnet.views_per_image,
            seed,
        )
        self.base.vae.cpu()
        self.base.text_encoder.cpu()
        return views
