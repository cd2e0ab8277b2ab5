"""Train: the generator from the base samples of a product, or of several (METHODS section 3)."""

from collections.abc import Iterable, Iterator, Sequence

from pipeline_tasks.backends.protocol import Progress, Trained, Trainer, TrainingSamples
from pipeline_tasks.diffusion.checkpoints import Checkpoints
from pipeline_tasks.errors import DataError, LeakageError
from pipeline_tasks.prompts import PromptBook
from pipeline_tasks.schema import Sample
from pipeline_tasks.seeds import derive_seed


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
    samples = TrainingSamples([*of_base(defects)], of_base(normals), prompts)
    return trainer.train(samples, derive_seed(seed, generator), checkpoints, progress)


def of_base(samples: Iterable[Sample]) -> Iterator[Sample]:
    """Yield the samples. Raises LeakageError at one that is not of the base split."""
    for sample in samples:
        if sample.split != "base":
            raise LeakageError(
                f"{sample.product}/{sample.source_path} is a {sample.split} sample: training takes base samples only"
            )
        yield sample
