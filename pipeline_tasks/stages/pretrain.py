"""Pretrain: a base model from scratch, where no pretrained one is named (METHODS section 3, small base)."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from pipeline_tasks.backends.protocol import TrainingSamples, some_of_each_product
from pipeline_tasks.diffusion.checkpoints import Checkpoints
from pipeline_tasks.diffusion.device import pick_device, pick_dtype
from pipeline_tasks.diffusion.pictures import Pictures
from pipeline_tasks.diffusion.scratch import ScratchBase, ScratchTraining
from pipeline_tasks.diffusion.training_views import prompted
from pipeline_tasks.errors import ConfigError, DataError
from pipeline_tasks.params import Backend, Pretrain
from pipeline_tasks.schema import Sample
from pipeline_tasks.seeds import derive_seed
from pipeline_tasks.splits.guard import of_base

HELD_OUT = 8
"""One normal image in so many is kept from the codec, to measure it on."""


def run(
    params: Pretrain,
    backend: Backend,
    seed: int,
    generator: str,
    samples: TrainingSamples,
    checkpoints: Checkpoints,
    progress: Callable[[str, range], Iterator[int]],
) -> ScratchBase:
    """Return the base model of `generator`, trained on the base samples of one product or of several.

    Raises DataError without defect samples, LeakageError for a sample outside the base split, ConfigError for a
    resolution that the networks do not divide.
    """
    check_resolution(params, backend)
    defects = list(of_base(samples.defects, "pretrain"))
    normals = list(some_of_each_product(of_base(samples.normals, "pretrain")))
    if not defects:
        raise DataError(f"generator '{generator}': no base defect sample to train on; see the set-aside tables")
    test = held_out(normals)
    hidden = {(s.product, path) for s in test for path in (s.source_path, s.derived_from)}
    images = {sample: prompted(sample, samples.prompts) for sample in (*defects, *normals)}

    def pictures(of_defects: Iterable[Sample], of_normals: Iterable[Sample]) -> Pictures:
        return Pictures([images[s] for s in of_defects], [images[s] for s in of_normals], backend)

    seen = ([s for s in kind if (s.product, s.source_path) not in hidden] for kind in (defects, normals))
    device = pick_device(params.device)
    dtype = pick_dtype(params.precision, device)
    training = ScratchTraining(params, derive_seed(seed, generator), device, dtype, checkpoints, progress)
    return training.run(pictures(defects, normals), pictures(*seen), pictures(defects, test))


def check_resolution(params: Pretrain, backend: Backend) -> None:
    """Raise ConfigError unless codec and UNet can halve a view as often as their levels ask."""
    multiple = 2 ** (len(params.codec_channels) + len(params.unet_channels) - 2)
    if backend.resolution_px % multiple:
        raise ConfigError(
            f"params.yaml: backend.resolution_px = {backend.resolution_px} must be a multiple of {multiple} for "
            f"{len(params.codec_channels)} pretrain.codec_channels and {len(params.unet_channels)} unet_channels"
        )


def held_out(normals: Sequence[Sample]) -> list[Sample]:
    """Return every HELD_OUT-th normal sample of each product; the last of fewer; none of a product with one."""
    chosen = []
    for product in sorted({sample.product for sample in normals}):
        own = [sample for sample in normals if sample.product == product]
        chosen += own[HELD_OUT - 1 :: HELD_OUT] or own[1:][-1:]
    return chosen
