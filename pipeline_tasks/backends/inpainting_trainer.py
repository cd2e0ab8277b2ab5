"""Training the inpainting generator of a product (METHODS section 3a)."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np

from pipeline_tasks.backends.held_out import held_out, part_of
from pipeline_tasks.backends.inpainting import Inpainting
from pipeline_tasks.backends.protocol import MAX_NORMALS, Progress, TrainingSamples
from pipeline_tasks.diffusion.checkpoints import Checkpoints
from pipeline_tasks.diffusion.device import pick_device, pick_dtype
from pipeline_tasks.errors import ConfigError, DataError
from pipeline_tasks.images.codec import decode_image, decode_mask
from pipeline_tasks.inpainting.initial import PRIOR, SCRATCH, initial_unet
from pipeline_tasks.inpainting.network import size_multiple
from pipeline_tasks.inpainting.source import measure_grain
from pipeline_tasks.inpainting.training import TrainingSet, train
from pipeline_tasks.inpainting.training_windows import DefectImage, defect_window, pixel_scale
from pipeline_tasks.params import Train
from pipeline_tasks.schema import Sample
from pipeline_tasks.seeds import derive_seed


@dataclass(frozen=True)
class InpaintingTrainer:
    """`Trainer` of protocol.py; prior_digest: of what `train.init` names, as the pretrain stage recorded it."""

    params: Train
    prior_digest: str

    def train(self, samples: TrainingSamples, seed: int, checkpoints: Checkpoints, progress: Progress) -> Inpainting:
        """See protocol.Trainer. Raises ConfigError for several products at once, or a window of a wrong size.

        Raises as `initial_unet` does where the training starts from a prior.
        """
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
        init = self.params.init
        unet = initial_unet(init, self.prior_digest, channels, len(names), derive_seed(seed, "weights"))
        device = pick_device(self.params.device)
        dtype = pick_dtype(self.params.precision, device)
        losses = train(unet, data, self.params, seed, device, dtype, checkpoints, progress)
        own = self.params.inpainting
        return Inpainting(
            unet,
            names,
            data.scale,
            data.grain,
            window_px,
            own.dilation_px,
            own.appearance_code,
            init if init in (PRIOR, SCRATCH) else "folder",
            self.prior_digest,
            losses,
        )

    def _training_set(
        self, defects: Iterable[Sample], normals: Iterable[Sample], names: list[str], seed: int
    ) -> TrainingSet:
        own, early = self.params.inpainting, self.params.inpainting.early_stop
        defects = list(defects)
        out = held_out(defects, early.min_images, early.fraction, seed)
        learned, kept = (
            [_defect_image(s, names, own.dilation_px) for s in defects if (s.source_path in out) is unseen]
            for unseen in (False, True)
        )
        unseen_parts = {part_of(sample) for sample in defects if sample.source_path in out}
        seen = (normal for normal in normals if part_of(normal) not in unseen_parts)
        hosts = [decode_image(normal.image) for normal in islice(seen, MAX_NORMALS)]
        rng = np.random.default_rng(derive_seed(seed, "statistics"))
        scale = pixel_scale(learned * 4, own.window_px, rng)
        windows = [defect_window(image, own.window_px, scale, False, rng).pixels for image in learned * 4]
        return TrainingSet(learned, kept, hosts, scale, measure_grain(windows), len(names))


def _defect_image(sample: Sample, names: list[str], dilation_px: int) -> DefectImage:
    if sample.mask is None:
        raise DataError(f"sample {sample.source_path}: a defect without a mask; re-run ingest")
    return DefectImage(decode_image(sample.image), decode_mask(sample.mask), names.index(sample.defect), dilation_px)
