"""Training the inpainting generator of a product (METHODS section 3a)."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np

from pipeline_tasks.backends.inpainting import Inpainting
from pipeline_tasks.backends.protocol import MAX_NORMALS, Progress, TrainingSamples
from pipeline_tasks.diffusion.checkpoints import Checkpoints
from pipeline_tasks.diffusion.device import pick_device, pick_dtype
from pipeline_tasks.errors import ConfigError, DataError
from pipeline_tasks.images.codec import decode_image, decode_mask
from pipeline_tasks.inpainting.network import make_unet, size_multiple
from pipeline_tasks.inpainting.source import measure_grain
from pipeline_tasks.inpainting.training import TrainingSet, train
from pipeline_tasks.inpainting.training_windows import DefectImage, defect_window, pixel_scale
from pipeline_tasks.params import Train
from pipeline_tasks.schema import Sample
from pipeline_tasks.seeds import derive_seed


@dataclass(frozen=True)
class InpaintingTrainer:
    """`Trainer` of protocol.py."""

    params: Train

    def train(self, samples: TrainingSamples, seed: int, checkpoints: Checkpoints, progress: Progress) -> Inpainting:
        """See protocol.Trainer. Raises ConfigError for several products at once, or a window of a wrong size."""
        window_px, channels = self.params.inpainting.window_px, self.params.inpainting.channels
        if window_px % size_multiple(channels):
            raise ConfigError(
                f"params.yaml: train.inpainting.window_px = {window_px} must be a multiple of "
                f"{size_multiple(channels)} for {len(channels)} channels"
            )
        if len({sample.product for sample in samples.defects}) > 1:
            raise ConfigError(
                "catalog.yaml: the inpainting generator learns one product; write the catalog without --shared, or set "
                "backend.name: controlnet in params.yaml"
            )
        names = sorted({sample.defect for sample in samples.defects})
        data = self._training_set(samples.defects, samples.normals, names, seed)
        unet = make_unet(len(names), channels, derive_seed(seed, "weights"))
        device = pick_device(self.params.device)
        dtype = pick_dtype(self.params.precision, device)
        losses = train(unet, data, self.params, seed, device, dtype, checkpoints, progress)
        own = self.params.inpainting
        return Inpainting(unet, names, data.scale, data.grain, window_px, own.dilation_px, own.appearance_code, losses)

    def _training_set(
        self, defects: Iterable[Sample], normals: Iterable[Sample], names: list[str], seed: int
    ) -> TrainingSet:
        window_px, dilation_px = self.params.inpainting.window_px, self.params.inpainting.dilation_px
        images = [_defect_image(sample, names) for sample in defects]
        hosts = [decode_image(normal.image) for normal in islice(normals, MAX_NORMALS)]
        rng = np.random.default_rng(derive_seed(seed, "statistics"))
        scale = pixel_scale(images * 4, window_px, dilation_px, rng)
        windows = [defect_window(image, window_px, dilation_px, scale, rng).pixels for image in images * 4]
        return TrainingSet(images, hosts, scale, measure_grain(windows), len(names))


def _defect_image(sample: Sample, names: list[str]) -> DefectImage:
    if sample.mask is None:
        raise DataError(f"sample {sample.source_path}: a defect without a mask; re-run ingest")
    return DefectImage(decode_image(sample.image), decode_mask(sample.mask), names.index(sample.defect))
