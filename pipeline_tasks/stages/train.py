"""Train: the generator from the base samples of a product, or of several (METHODS section 3)."""

from collections.abc import Iterable, Sequence

from pipeline_tasks.backends.protocol import Progress, Trained, Trainer, TrainingSamples
from pipeline_tasks.diffusion.checkpoints import Checkpoints
from pipeline_tasks.errors import DataError
from pipeline_tasks.prompts import PromptBook
from pipeline_tasks.schema import Sample
from pipeline_tasks.seeds import derive_seed
from pipeline_tasks.splits.guard import of_base


def run(
    trainer: Trainer,
    seed: int,
    generator: str,
    defects: Sequence[Sample],
    normals: Iterable[Sample],
    prompts: PromptBook,
    checkpoints: Checkpoints,
    progress: Progress,
) -> Trained:
    """Return the trained generator called `generator`.

    Raises DataError without defect samples and LeakageError for a sample outside the base split.
    """
    if not defects:
        raise DataError(f"generator '{generator}': no base defect sample to train on; see the set-aside tables")
    samples = TrainingSamples([*of_base(defects, "train")], of_base(normals, "train"), prompts)
    return trainer.train(samples, derive_seed(seed, generator), checkpoints, progress)
