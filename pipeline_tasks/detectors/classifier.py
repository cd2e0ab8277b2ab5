"""The classifier: a residual network that names the defect on a whole image (METHODS section 5).

ResNet-34 of DefectSynth, binary ResNet-50 of DefectDiffu, ResNet-18 for CAGen's embedding. As in the papers it sees
whole images scaled to a square, in which a small defect all but vanishes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from pipeline_tasks.detector_params import Detector
from pipeline_tasks.detectors.budget import count_images, steps_of
from pipeline_tasks.detectors.detector_files import read_card, restore, save
from pipeline_tasks.detectors.fitting import fit, run
from pipeline_tasks.detectors.labelled_images import DEFECT, LabelledImages, whole
from pipeline_tasks.detectors.residual_network import build_network, take_body
from pipeline_tasks.detectors.windows import Floats, Mix, Scene
from pipeline_tasks.diffusion.device import pick_device
from pipeline_tasks.errors import ModelError
from pipeline_tasks.seeds import derive_seed

if TYPE_CHECKING:
    from transformers import ResNetForImageClassification


@dataclass(frozen=True)
class TrainedClassifier:
    """A trained classifier. `classes` are the defects in order of their names, then GOOD; or DEFECT and GOOD."""

    network: "ResNetForImageClassification"
    name: str
    classes: tuple[str, ...]
    resolution_px: int

    def probabilities(self, scenes: Sequence[Scene]) -> Floats:
        """Return the probability of every class for whole images, float32 [N, C]: rows sum to 1."""
        return self._each(scenes, lambda image: self.network(image).logits.float().softmax(1))

    def features(self, scenes: Sequence[Scene]) -> Floats:
        """Return what the last layer decides from, float32 [N, width]: 512, of resnet50 2048."""
        return self._each(scenes, lambda image: self.network.resnet(image).pooler_output.flatten(1))

    def class_of(self, defect: str) -> str:
        """Return the class of an image of `defect`, or of GOOD; DEFECT for one that no class is named after."""
        return defect if defect in self.classes else DEFECT

    def save(self, folder: Path) -> None:
        """Write what `load_classifier` reads in the place of `folder`."""
        card = {
            "kind": "classifier",
            "network": self.name,
            "classes": self.classes,
            "resolution_px": self.resolution_px,
        }
        save(folder, card, self.network)

    def _each(self, scenes: Sequence[Scene], look: Callable[[Tensor], Tensor]) -> Floats:
        """One image at a time, so that the rounding of one does not depend on others."""
        device = self.network.device
        images = (torch.from_numpy(whole(scene, self.resolution_px).transpose(2, 0, 1)[None]) for scene in scenes)
        with torch.no_grad():
            return np.concatenate([run(look, image.to(device)).cpu().numpy() for image in images])


def train_classifier(
    real: Mapping[str, Sequence[Scene]],
    mixes: Mapping[str, Mix],
    params: Detector,
    seed: int,
    advance: Callable[[], object],
) -> TrainedClassifier:
    """Train a classifier; see `TrainingScenes` for `real` and `mixes`. `advance` is called after each optimiser step.

    Scenes are whole images: a part around a defect would give its class away. Cross-entropy. Equal arguments give equal
    weights on one machine's CPU; initial weights are the seed's alone, apart from pretrained ones. Raises ConfigError
    if the device is not there, DataError if there are no two classes to tell apart, ModelError if pretrained weights
    are not to be had.
    """
    own, device = params.classifier, pick_device(params.device)
    images = LabelledImages(real, mixes, own)
    network = build_network(own.network, len(images.classes), derive_seed(seed, "weights"))
    if own.weights != "none":
        take_body(network, own)
    network.to(device)
    rng = np.random.default_rng(derive_seed(seed, "images"))

    def loss() -> Tensor:
        pixels, labels = images.draw(rng)
        logits = run(lambda batch: network(batch).logits, torch.from_numpy(pixels).to(device))
        return cross_entropy(logits, torch.from_numpy(labels).to(device))

    steps = steps_of("classifier", params, count_images("classifier", real, mixes))
    fit(network, loss, steps, own.learning_rate, advance)
    return TrainedClassifier(network, own.network, images.classes, own.resolution_px)


def load_classifier(folder: Path, device: str = "auto") -> TrainedClassifier:
    """Return what `TrainedClassifier.save` wrote, on a device as params.yaml names it. Raises ModelError."""
    card = read_card(folder)
    if card["kind"] != "classifier":
        raise ModelError(f"{folder}: holds a detector of kind '{card['kind']}', no classifier")
    network = restore(folder, lambda: build_network(card["network"], len(card["classes"]), seed=0))
    network.to(pick_device(device))
    return TrainedClassifier(network, card["network"], tuple(card["classes"]), card["resolution_px"])
