"""Inception-v3 and AlexNet, trained on ImageNet: weights in safetensors, in torchvision's names (METHODS section 5)."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from pipeline_tasks.errors import ModelError
from pipeline_tasks.measures.features import Activations, FeatureNetwork, locate
from pipeline_tasks.measures.inception import FID_CLASSES, SIDE_PX, InceptionV3
from pipeline_tasks.measures.views import Views

WEIGHTS = "model.safetensors"
"""What a folder's, or a hub id's, file of weights is called."""
CLASSES = 1000
"""ImageNet's."""
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""What LPIPS normalises AlexNet's pixels, -1..1, by: ImageNet's means and deviations."""
ENDS = (1, 4, 7, 9, 11)
"""The layers of AlexNet that LPIPS compares: the ReLUs."""
LEARNED = "lin{}.model.1.weight"
"""LPIPS' names of the weights [1, C, 1, 1] of each layer's channels."""
ADVICE = (
    "give a .safetensors file in torchvision's names; a .pth is turned into one, outside of this project, by "
    "torch.load(..., weights_only=True) and safetensors.torch.save_file"
)
Weights = Mapping[str, Tensor]
Network = TypeVar("Network", bound=nn.Module)


def inception_network(source: str, key: str, device: torch.device) -> FeatureNetwork:
    """Return Inception-v3 of a file of weights, of a folder or a hub id with WEIGHTS; `key` of params.yaml says so.

    1000 classes: torchvision's training, `inception_v3_imagenet`. 1008: TensorFlow's of 2015, in torch-fidelity's
    names, `inception_v3_fid`, for which IS, FID and KID were defined. Views are scaled to 299 px, bilinear with
    antialiasing. Raises ModelError if the weights are missing, damaged or another network's.
    """
    weights, file = _read(source, key)
    classes = len(weights["fc.weight"]) if "fc.weight" in weights else CLASSES
    network = _filled(lambda: InceptionV3(classes), weights, file).to(device)
    name, level, spread = ("fid", 128.0, 128.0) if classes == FID_CLASSES else ("imagenet", 127.5, 127.5)

    def activate(views: Views) -> Activations:
        scaled = nn.functional.interpolate(_planes(views, device), (SIDE_PX, SIDE_PX), mode="bilinear", antialias=True)
        return Activations(*network((scaled - level) / spread))

    return FeatureNetwork(f"inception_v3_{name}", activate)


def alexnet_network(source: str, key: str, device: torch.device) -> FeatureNetwork:
    """Return AlexNet, LPIPS' network, of a file of weights, of a folder or a hub id with WEIGHTS (see `key`).

    With the weights that LPIPS learned for its layers in the same file (LEARNED) its distance is LPIPS; without them,
    it is not called so. Features are the last layer's means; no classes. Raises ModelError as `inception_network` does.
    """
    weights, file = _read(source, key)
    network = _filled(_alexnet, weights, file).to(device)["features"]
    shift, scale = (torch.tensor(values, device=device)[:, None, None] for values in (SHIFT, SCALE))

    def activate(views: Views) -> Activations:
        x, layers = (_planes(views, device) / 127.5 - 1 - shift) / scale, []
        for at, layer in enumerate(network.children()):
            x = layer(x)
            layers += [x] if at in ENDS else []
        return Activations(x.mean((2, 3)), layers=layers)

    return FeatureNetwork("alexnet_imagenet", activate, [one.to(device) for one in _learned(weights, file)])


def _alexnet() -> nn.ModuleDict:
    """Return AlexNet's convolutions (Krizhevsky 2014), [B, 3, H, W] -> [B, 256, h, w], named as torchvision does."""
    features = nn.Sequential(
        *(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, 1, 2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, 1, 1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, 1, 1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, 1, 1), nn.ReLU()),
    )
    return nn.ModuleDict({"features": features})


def _learned(weights: Weights, file: Path) -> list[Tensor]:
    """Return LPIPS' weights of the channels of each layer, none if the file has none."""
    found = [weights[name].flatten() for at in range(len(ENDS)) if (name := LEARNED.format(at)) in weights]
    if found and [len(one) for one in found] != [64, 192, 384, 256, 256]:
        raise ModelError(f"{file}: of LPIPS' weights, {LEARNED.format('0')} to {len(ENDS) - 1}, some are not AlexNet's")
    return [one.float().clamp(min=0) for one in found]


def _read(source: str, key: str) -> tuple[Weights, Path]:
    from safetensors.torch import load_file

    found = locate(source, key, [WEIGHTS])
    file = found / WEIGHTS if found.is_dir() else found
    try:
        return load_file(file), file
    except Exception as error:  # safetensors raises several kinds, and OSError where there is no file
        raise ModelError(f"{key} = '{source}': {file} is not a file of safetensors ({error}); {ADVICE}") from error


def _filled(build: Callable[[], Network], weights: Weights, file: Path) -> Network:
    """Return the network with `weights`, for evaluation; those of other layers, such as classifiers', are left out."""
    with torch.device("meta"):
        network = build()
    own = network.state_dict()
    given = {name: torch.zeros((), dtype=torch.int64) for name in own if name.endswith("num_batches_tracked")}
    # Copied, for what safetensors gives is the file itself, which may be replaced.
    given |= {name: value.to(own[name].dtype, copy=True) for name, value in weights.items() if name in own}
    wrong = [name for name, value in own.items() if name not in given or given[name].shape != value.shape]
    if wrong:
        raise ModelError(
            f"{file}: {len(wrong)} of the network's {len(own)} weights are missing or of another shape, {wrong[0]} "
            f"for one; {ADVICE}"
        )
    network.load_state_dict(given, assign=True)
    return network.eval().requires_grad_(False)


def _planes(views: Views, device: torch.device) -> Tensor:
    """Return views, uint8 [B, side, side, 3], as [B, 3, side, side], 0..255."""
    return torch.from_numpy(np.ascontiguousarray(views.transpose(0, 3, 1, 2))).to(device).float()
