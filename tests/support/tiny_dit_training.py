"""A DiT training of seconds. Run by torchrun, as several processes that train together: FOLDER OUTPUT."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from blob_product import blob_sample, good_sample
from interruptions import Memory
from settings import settings
from tiny_base import save_tiny_pipeline

from pipeline_tasks.backends.dit_trainer import DitTrainer
from pipeline_tasks.backends.protocol import TrainingSamples
from pipeline_tasks.commands.processes import is_main_process
from pipeline_tasks.diffusion.base_model import BaseModel, open_pipeline
from pipeline_tasks.dit.generator import Generator
from pipeline_tasks.params import Params
from pipeline_tasks.prompts import ProductNames, PromptBook
from pipeline_tasks.schema import GOOD

if TYPE_CHECKING:
    from pipeline_tasks.diffusion.initial_transformer import Start

DIGEST = "digest of the base"
SMALL = {"steps": 3, "batch_size": 4, "learning_rate": 1e-3, "ema_decay": 0.9, "checkpoint_every_steps": 2}
NETWORK = {"blocks": [1, 2, 1], "heads": 2, "head_width": 8, "patch": 2, "views_per_image": 2}
WORDS = {name: ProductNames(word, {"blob": "dot", GOOD: GOOD}) for name, word in (("plate", "tin"), ("lid", "lid"))}
BOOK = PromptBook({name: {"blob": f"dot {name}", GOOD: f"good {name}"} for name in WORDS}, {}, WORDS)


def tiny_base(folder: Path, **options: Any) -> BaseModel:
    """Return a random base, saved and opened: see tiny_base.save_tiny_pipeline."""
    return open_pipeline(save_tiny_pipeline(folder, **options), DIGEST)


def tiny_params(dit: dict[str, Any] | None = None, **train: Any) -> Params:
    """Return parameters for three steps of a DiT on the CPU, with `train` and `dit` merged in."""
    backend = {"name": "dit", "resolution_px": 32, "view": "window"}
    training = SMALL | train | {"dit": NETWORK | (dit or {})}
    return settings(backend=backend, prompts={"kind": "disentangled"}, train=training)


def tiny_samples() -> TrainingSamples:
    """Return blobs on plates, one on a lid, and normal images of both."""
    defects = [blob_sample(0), blob_sample(1), replace(blob_sample(2), product="lid")]
    return TrainingSamples(defects, [good_sample(0), replace(good_sample(1), product="lid")], BOOK)


def train_tiny_dit(
    base: BaseModel,
    checkpoints: Memory | None = None,
    progress: Callable[[range], Iterator[int]] = iter,
    start: "Start | None" = None,
    seed: int = 7,
    **changes: Any,
) -> Generator:
    """Return a generator trained on `tiny_samples` with `tiny_params`, of which `changes` are changed."""
    trainer = DitTrainer(tiny_params(**changes), base, start)
    return trainer.train(tiny_samples(), seed, checkpoints or Memory(), progress)


if __name__ == "__main__":
    torch.set_num_threads(1)
    trained = train_tiny_dit(open_pipeline(Path(sys.argv[1]), DIGEST), dit={"accumulate": 2})
    if is_main_process():
        trained.save(Path(sys.argv[2]))
        Path(sys.argv[2], "losses.txt").write_text(" ".join(map(str, trained.losses)))
