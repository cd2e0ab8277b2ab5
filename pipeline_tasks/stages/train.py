"""Train: the product's generator from its base samples (METHODS section 3a)."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from pipeline_tasks.backends.inpainting import Inpainting
from pipeline_tasks.diffusion.device import pick_device, pick_dtype
from pipeline_tasks.diffusion.network import make_unet, size_multiple
from pipeline_tasks.diffusion.source import measure_grain
from pipeline_tasks.diffusion.training import Checkpoints, TrainingSet, train
from pipeline_tasks.diffusion.training_windows import DefectImage, defect_window, pixel_scale
from pipeline_tasks.errors import ConfigError, DataError, LeakageError
from pipeline_tasks.images.codec import decode_image, decode_mask
from pipeline_tasks.params import Train
from pipeline_tasks.schema import Sample
from pipeline_tasks.seeds import derive_seed

MAX_NORMALS = 64
"""Normal images that training draws windows from; more add little and cost memory."""


def run(
    params: Train,
    seed: int,
    product: str,
    defects: Sequence[Sample],
    normals: Iterable[Sample],
    checkpoints: Checkpoints,
    progress: Callable[[range], Iterator[int]],
) -> tuple[Inpainting, list[float]]:
    """Return the trained generator and the loss of every step.

    Raises DataError without defect samples, LeakageError for a sample outside the base split, ConfigError for a window
    that the network's depth does not divide.
    """
    if params.window_px % size_multiple(params.channels):
        raise ConfigError(
            f"params.yaml: train.window_px = {params.window_px} must be a multiple of {size_multiple(params.channels)} "
            f"for {len(params.channels)} channels"
        )
    names = sorted({s.defect for s in defects})
    data = _training_set(params, seed, product, defects, normals, names)
    unet = make_unet(len(names), params.channels, derive_seed(seed, product, "weights"))
    device = pick_device(params.device)
    dtype = pick_dtype(params.precision, device)
    losses = train(unet, data, params, derive_seed(seed, product), device, dtype, checkpoints, progress)
    return Inpainting(unet, names, data.scale, data.grain, params.window_px, params.dilation_px), losses


def _training_set(
    params: Train, seed: int, product: str, defects: Sequence[Sample], normals: Iterable[Sample], names: list[str]
) -> TrainingSet:
    if not defects:
        raise DataError(f"product '{product}': no base defect sample to train on; see its set-aside table")
    images = [_defect_image(sample, names) for sample in defects]
    hosts = [decode_image(_base(sample).image) for sample, _ in zip(normals, range(MAX_NORMALS), strict=False)]
    rng = np.random.default_rng(derive_seed(seed, product, "statistics"))
    scale = pixel_scale(images * 4, params.window_px, params.dilation_px, rng)
    windows = [defect_window(image, params.window_px, params.dilation_px, scale, rng).pixels for image in images * 4]
    return TrainingSet(images, hosts, scale, measure_grain(windows), len(names))


def _defect_image(sample: Sample, names: list[str]) -> DefectImage:
    mask = _base(sample).mask
    if mask is None:
        raise DataError(f"sample {sample.source_path}: a defect without a mask; re-run ingest")
    return DefectImage(decode_image(sample.image), decode_mask(mask), names.index(sample.defect))


def _base(sample: Sample) -> Sample:
    if sample.split != "base":
        raise LeakageError(
            f"{sample.product}/{sample.source_path} is a {sample.split} sample: training takes base samples only"
        )
    return sample
