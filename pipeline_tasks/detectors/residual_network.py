"""Residual networks (He et al. 2016) as transformers has them, with weights of a seed or pretrained ones."""

from textwrap import shorten
from typing import TYPE_CHECKING, Any

from pipeline_tasks.detector_params import Classifier
from pipeline_tasks.detectors.detector_files import REASON_LENGTH
from pipeline_tasks.detectors.fitting import build
from pipeline_tasks.diffusion.hub import folder_of
from pipeline_tasks.errors import ModelError

if TYPE_CHECKING:
    from transformers import ResNetForImageClassification

PRETRAINED = "model.safetensors"
BODY = "resnet."
"""How transformers' names of weights begin, but for the last layer's, which is learned anew."""
SHAPES: dict[str, dict[str, Any]] = {
    "resnet18": {"layer_type": "basic", "depths": [2, 2, 2, 2], "hidden_sizes": [64, 128, 256, 512]},
    "resnet34": {"layer_type": "basic", "depths": [3, 4, 6, 3], "hidden_sizes": [64, 128, 256, 512]},
    "resnet50": {"layer_type": "bottleneck", "depths": [3, 4, 6, 3], "hidden_sizes": [256, 512, 1024, 2048]},
}


def build_network(name: str, class_count: int, seed: int) -> "ResNetForImageClassification":
    """Return the network called `name`, RGB [B, 3, H, W] -> logits [B, class_count], with weights drawn from `seed`."""
    from transformers import ResNetConfig, ResNetForImageClassification

    config = ResNetConfig(num_labels=class_count, **SHAPES[name])
    return build(lambda: ResNetForImageClassification(config), seed)


def take_body(network: "ResNetForImageClassification", params: Classifier) -> None:
    """Give `network` the pretrained weights that `params` names, all but the last layer's.

    Raises ModelError if they are not to be had, or are another network's.
    """
    from safetensors.torch import load_file

    key = "detector.classifier.weights"
    folder = folder_of(key, params.weights, params.revision, [PRETRAINED])
    try:
        weights = load_file(folder / PRETRAINED)
        network.resnet.load_state_dict({k.removeprefix(BODY): v for k, v in weights.items() if k.startswith(BODY)})
    except Exception as error:  # safetensors and torch raise many kinds on missing, damaged and foreign weights
        reason = shorten(str(error), REASON_LENGTH)
        raise ModelError(
            f"{key} = '{params.weights}': no weights of {params.network} as transformers names them in "
            f"{folder / PRETRAINED} ({reason}); name those of {params.network}, or 'none'"
        ) from error
