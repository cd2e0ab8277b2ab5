"""Random views of samples, one after the other: what a generator in latent space is trained on."""

from collections.abc import Iterable, Iterator

import numpy as np

from pipeline_tasks.diffusion.training_views import PromptedImage, View, defect_view, normal_view, prompted
from pipeline_tasks.errors import DataError
from pipeline_tasks.params import Backend
from pipeline_tasks.prompts import PromptBook
from pipeline_tasks.schema import Sample
from pipeline_tasks.seeds import derive_seed

Seeded = tuple[int, PromptedImage]


def random_views(
    defects: Iterable[Sample],
    normals: Iterable[Sample],
    prompts: PromptBook,
    backend: Backend,
    views_per_image: int,
    seed: int,
) -> Iterator[View]:
    """Yield `views_per_image` random views of each defect sample, then of each normal one, in their order.

    A view depends on its seed, sample and number alone; that of a normal image also takes the scale and the hole of a
    random defect view. Raises DataError without defects, and for a defect without a mask.
    """
    seen = [_seeded(sample, prompts, seed) for sample in defects]
    if not seen:
        raise DataError("no defect sample to see; the set-aside tables of the products say why")
    for own, image in seen:
        for number in range(views_per_image):
            yield defect_view(image, backend, np.random.default_rng(derive_seed(own, number)))
    for own, image in (_seeded(sample, prompts, seed) for sample in normals):
        for number in range(views_per_image):
            rng = np.random.default_rng(derive_seed(own, number))
            _, other = seen[rng.integers(len(seen))]
            yield normal_view(image, defect_view(other, backend, rng), backend, rng)


def _seeded(sample: Sample, prompts: PromptBook, seed: int) -> Seeded:
    """Return a sample's own seed, and the sample decoded."""
    return derive_seed(seed, "view", sample.product, sample.source_path), prompted(sample, prompts)
