"""The U-Net: segments defects on windows, scores whole images (DefectSynth section V, METHODS section 5)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from monai.losses import DiceCELoss
from monai.networks.nets import BasicUNet
from torch import Tensor, nn

from pipeline_tasks.detector_params import Detector
from pipeline_tasks.detectors.budget import count_images, steps_of
from pipeline_tasks.detectors.detector_files import restore, save
from pipeline_tasks.detectors.fitting import build, fit, run
from pipeline_tasks.detectors.windows import Floats, Mix, Scene, TrainingWindows
from pipeline_tasks.diffusion.device import pick_device
from pipeline_tasks.seeds import derive_seed

MULTIPLE_PX = 16
"""Sides must divide by this: the U-Net halves them four times."""


@dataclass(frozen=True)
class Unet:
    """A trained U-Net: `Localiser` of kinds.py."""

    network: nn.Module
    features: Sequence[int]
    max_image_px: int

    def score_map(self, scene: Scene) -> Floats:
        """Return the logit of 'defect' for every pixel of `scene`, [H, W], float32."""
        return score_whole(scene, self.network, next(self.network.parameters()).device)

    def save(self, folder: Path) -> None:
        """Write what `load_unet` reads in the place of `folder`."""
        card = {"kind": "unet", "features": list(self.features), "max_image_px": self.max_image_px}
        save(folder, card, self.network)


def train_unet(
    real: Mapping[str, Sequence[Scene]],
    mixes: Mapping[str, Mix],
    params: Detector,
    seed: int,
    advance: Callable[[], object],
) -> Unet:
    """Train a U-Net; see `TrainingWindows` for what it learns from. `advance` is called after each optimiser step.

    Dice and cross-entropy over the whole batch, because defects are 0.04-6% of the area and many windows hold none.
    Equal arguments give equal weights on one machine's CPU; initial weights are the seed's alone. Raises ConfigError if
    the device is not there, DataError if there is nothing to learn from.
    """
    device = pick_device(params.device)
    network = build_unet(3, params.features, derive_seed(seed, "weights")).to(device)
    windows, rng = TrainingWindows(real, mixes, params), np.random.default_rng(derive_seed(seed, "windows"))
    compare = DiceCELoss(sigmoid=True, batch=True)

    def loss() -> Tensor:
        images, masks = (torch.from_numpy(array) for array in windows.draw(rng))
        value: Tensor = compare(run(network, images.to(device)), masks.to(device))
        return value

    fit(network, loss, steps_of("unet", params, count_images("unet", real, mixes)), params.learning_rate, advance)
    return Unet(network, params.features, params.max_image_px)


def load_unet(folder: Path, card: Mapping[str, Any], device: torch.device) -> Unet:
    """Return what `Unet.save` wrote. Raises ModelError if a file is missing or damaged."""
    network = restore(folder, lambda: build_unet(3, card["features"], seed=0)).to(device)
    return Unet(network, card["features"], card["max_image_px"])


def build_unet(planes: int, features: Sequence[int], seed: int) -> nn.Module:
    """Return MONAI's BasicUNet, [B, planes, H, W] -> logits [B, 1, H, W], with weights drawn from `seed`.

    features: widths of its five levels, finest first. Batch normalisation, because the statistics of a window around a
    defect would differ from those of the whole image.
    """
    widths = (*features, features[0])
    network: nn.Module = build(lambda: BasicUNet(2, planes, 1, features=widths, norm="batch"), seed)
    return network


def score_whole(scene: Scene, network: Callable[[Tensor], Tensor], device: torch.device) -> Floats:
    """Return the first plane that `network` gives for a whole scene, [H, W], float32: padded, cropped back."""
    height, width = scene.mask.shape
    pad = (0, -height % MULTIPLE_PX, 0, -width % MULTIPLE_PX)
    padded = cv2.copyMakeBorder(scene.pixels, *pad, cv2.BORDER_REPLICATE)
    image = torch.from_numpy(scene.normalised(padded).transpose(2, 0, 1)[None])
    with torch.no_grad():
        logits = run(network, image.to(device))
    return np.asarray(logits[0, 0, :height, :width].cpu().numpy(), np.float32)
