"""A ControlNet training of seconds. Run by torchrun, as several processes that train together: FOLDER OUTPUT."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from blob_product import PROMPTS, blob_sample, good_sample
from settings import settings
from tiny_base import save_tiny_pipeline

from pipeline_tasks.backends.controlnet_trainer import ControlNetTrainer
from pipeline_tasks.backends.protocol import TrainingSamples
from pipeline_tasks.commands.processes import is_main_process
from pipeline_tasks.controlnet.generator import Generator
from pipeline_tasks.diffusion.base_model import BaseModel, open_pipeline
from pipeline_tasks.params import Params

SMALL = {"steps": 3, "batch_size": 4, "learning_rate": 1e-3, "ema_decay": 0.9, "checkpoint_every_steps": 2}


class Memory:
    """Checkpoints that stay in memory; `states` holds each."""

    def __init__(self) -> None:
        self.states: list[dict[str, torch.Tensor]] = []

    def load(self) -> dict[str, torch.Tensor] | None:
        return self.states[-1] if self.states else None

    def save(self, state: dict[str, torch.Tensor]) -> None:
        self.states.append({name: value.clone() for name, value in state.items()})


def tiny_base(folder: Path, **options: Any) -> BaseModel:
    """Return a random base, saved and opened: see tiny_base.save_tiny_pipeline."""
    return open_pipeline(save_tiny_pipeline(folder, **options), "digest of the base")


def tiny_params(resolution_px: int = 64, controlnet: dict[str, Any] | None = None, **train: Any) -> Params:
    """Return parameters for three steps of a ControlNet on the CPU, with `train` and `controlnet` merged in."""
    own = {"views_per_image": 2, "prompt_dropout": 0.25} | (controlnet or {})
    backend = {"name": "controlnet", "resolution_px": resolution_px, "view": "window"}
    return settings(backend=backend, train=SMALL | train | {"controlnet": own})


def tiny_samples() -> TrainingSamples:
    """Return three blobs and two normal images."""
    return TrainingSamples([blob_sample(n) for n in range(3)], [good_sample(n) for n in range(2)], PROMPTS)


def train_tiny(
    base: BaseModel,
    checkpoints: Memory | None = None,
    progress: Callable[[range], Iterator[int]] = iter,
    controlnet: dict[str, Any] | None = None,
    **train: Any,
) -> Generator:
    """Return a generator trained on `tiny_samples` with `tiny_params`."""
    trainer = ControlNetTrainer(tiny_params(controlnet=controlnet, **train), base)
    return trainer.train(tiny_samples(), 7, checkpoints or Memory(), progress)


if __name__ == "__main__":
    torch.set_num_threads(1)
    trained = train_tiny(open_pipeline(Path(sys.argv[1]), "digest of the base"), controlnet={"accumulate": 2})
    if is_main_process():
        trained.save(Path(sys.argv[2]))
        Path(sys.argv[2], "losses.txt").write_text(" ".join(map(str, trained.losses)))
