"""DRAEM: reconstructs what is normal, and compares (Zavrtanik et al. 2021; CAGen section 4.1).

Both networks are MONAI's, smaller than the paper's. A pair does not say how its image looked before: there, what the
reconstruction has to give is known outside the defect only, and its loss is taken there. Simulated anomalies teach it
what to put inside.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.losses import FocalLoss, SSIMLoss
from monai.networks.nets import AutoEncoder
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from pipeline_tasks.detector_params import Detector
from pipeline_tasks.detectors.anomalies import AnomalyWindows
from pipeline_tasks.detectors.budget import count_images, steps_of
from pipeline_tasks.detectors.detector_files import restore, save
from pipeline_tasks.detectors.fitting import build, fit, run
from pipeline_tasks.detectors.unet import build_unet, score_whole
from pipeline_tasks.detectors.windows import Floats, Mix, Scene
from pipeline_tasks.diffusion.device import pick_device
from pipeline_tasks.seeds import derive_seed

RANGE = 8.0
"""Spreads of an image that black to white is taken to be: the paper's losses are of intensities in 0..1."""


class DraemNetwork(nn.Module):
    """RGB [B, 3, H, W], normalised -> [B, 4, H, W]: the logit of 'defect', then the reconstruction."""

    def __init__(self, channels: Sequence[int], features: Sequence[int], seed: int) -> None:
        """Draw the weights from `seed`; see `Draem` of detector_params.py for the widths."""
        super().__init__()
        strides = [2] * len(channels)
        self.reconstruction = build(
            lambda: AutoEncoder(2, 3, 3, channels, strides, norm="batch"), derive_seed(seed, "reconstruction")
        )
        self.comparison = build_unet(6, features, derive_seed(seed, "comparison"))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits and reconstruction; sides divide by 16."""
        normal = self.reconstruction(images)
        return torch.cat([self.comparison(torch.cat([normal, images], 1)), normal], 1)


@dataclass(frozen=True)
class TrainedDraem:
    """A trained DRAEM: `Localiser` of kinds.py."""

    network: nn.Module
    channels: Sequence[int]
    features: Sequence[int]
    max_image_px: int

    def score_map(self, scene: Scene) -> Floats:
        """Return the logit of 'defect' for every pixel of `scene`, [H, W], float32."""
        return score_whole(scene, self.network, next(self.network.parameters()).device)

    def save(self, folder: Path) -> None:
        """Write what `load_draem` reads in the place of `folder`."""
        widths = {"channels": list(self.channels), "features": list(self.features)}
        save(folder, {"kind": "draem", "max_image_px": self.max_image_px, **widths}, self.network)


def train_draem(
    real: Mapping[str, Sequence[Scene]],
    mixes: Mapping[str, Mix],
    params: Detector,
    seed: int,
    advance: Callable[[], object],
) -> TrainedDraem:
    """Train a DRAEM; see `AnomalyWindows` for what it learns from. `advance` is called after each optimiser step.

    Equal arguments give equal weights on one machine's CPU; initial weights are the seed's alone. Raises ConfigError if
    the device is not there, DataError if there is nothing to learn from.
    """
    own, device = params.draem, pick_device(params.device)
    network = DraemNetwork(own.channels, own.features, derive_seed(seed, "weights")).to(device)
    windows, rng = AnomalyWindows(real, mixes, params), np.random.default_rng(derive_seed(seed, "windows"))

    def loss() -> Tensor:
        seen, clean, labels, hidden = (torch.from_numpy(array).to(device) for array in windows.draw(rng))
        return draem_loss(run(network, seen), clean, labels, hidden)

    fit(network, loss, steps_of("draem", params, count_images("draem", real, mixes)), own.learning_rate, advance)
    return TrainedDraem(network, own.channels, own.features, params.max_image_px)


def draem_loss(given: Tensor, clean: Tensor, labels: Tensor, hidden: Tensor) -> Tensor:
    """Return the paper's loss (Eq. 4): L2 and SSIM of the reconstruction, focal loss of the comparison.

    given [B, 4, H, W] as of `DraemNetwork`, clean [B, 3, H, W]; where `hidden` [B, 1, H, W] the reconstruction is free.
    """
    found, wanted = (0.5 + image / RANGE for image in (torch.where(hidden > 0, clean, given[:, 1:]), clean))
    reconstruction: Tensor = mse_loss(found, wanted) + SSIMLoss(2)(found, wanted)
    comparison: Tensor = FocalLoss()(given[:, :1], labels)
    return reconstruction + comparison


def load_draem(folder: Path, card: Mapping[str, Any], device: torch.device) -> TrainedDraem:
    """Return what `TrainedDraem.save` wrote. Raises ModelError if a file is missing or damaged."""
    network = restore(folder, lambda: DraemNetwork(card["channels"], card["features"], seed=0)).to(device)
    return TrainedDraem(network, card["channels"], card["features"], card["max_image_px"])
