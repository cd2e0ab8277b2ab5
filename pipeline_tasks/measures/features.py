"""Networks whose features the measures of generation compare, each with the name that its results carry."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline_tasks.diffusion.clip_phrases import FILES, normalise, open_clip
from pipeline_tasks.diffusion.hub import fetch
from pipeline_tasks.errors import ModelError
from pipeline_tasks.measures.views import Views

if TYPE_CHECKING:
    from transformers import ResNetForImageClassification

BATCH = 16
"""Views that a network sees at once."""
EPSILON = 1e-8
"""Added to the squared length of a feature before it is scaled to 1, as LPIPS does."""
BLOCKS = {"basic": 2, "bottleneck": 3}
"""Convolutions of one block of a ResNet."""
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Activations:
    """What a network makes of a batch: features [B, D], logits [B, C] if it has classes, and layers [B, C, h, w]."""

    features: Tensor
    logits: Tensor | None = None
    layers: Sequence[Tensor] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """What a network makes of N views, on the CPU.

    `features` float32 [N, D]; `logits` float32 [N, C], None without classes; `appearance` float32 [N, P]: the squared
    distance of two rows is the views' perceptual distance; None without layers. All are [0, 0] or None without views.
    """

    features: Tensor
    logits: Tensor | None
    appearance: Tensor | None

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True, slots=True)
class FeatureNetwork:
    """A network by the name that measures carry, lower case with underscores, and what it makes of a batch of views.

    `weights` [C] of each layer's channels, 0 and up, are those learned for LPIPS; without them every channel counts
    alike, and a distance is called `perceptual`, not `lpips`.
    """

    name: str
    activate: Callable[[Views], Activations]
    weights: Sequence[Tensor] = ()

    @property
    def distance(self) -> str:
        """What its distance between two views is called."""
        return "lpips" if self.weights else "perceptual"

    @torch.no_grad()
    def look(self, views: Views) -> Seen:
        """Return what the network makes of `views`, uint8 [N, side, side, 3]."""
        if not len(views):
            return Seen(torch.zeros(0, 0), None, None)
        found = [self._batch(views[start : start + BATCH]) for start in range(0, len(views), BATCH)]
        features, logits, appearance = zip(*found, strict=True)
        return Seen(torch.cat(features), _joined(logits), _joined(appearance))

    def features(self, views: Views) -> Floats:
        """Return the features [N, D] of `views`, uint8 [N, side, side, 3]."""
        return np.asarray(self.look(views).features.numpy(), np.float32)

    def _batch(self, views: Views) -> tuple[Tensor, Tensor | None, Tensor | None]:
        seen = self.activate(views)
        appearance = appearance_of(seen.layers, self.weights) if seen.layers else None
        return seen.features.float().cpu(), _on_cpu(seen.logits), _on_cpu(appearance)


def appearance_of(layers: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """Return vectors [B, P] whose squared distances are the perceptual distances of Zhang et al. 2018, equation 1.

    Per layer [B, C, h, w]: features scaled to length 1 over the channels, squared differences weighted per channel (1
    without `weights`), summed over the channels and averaged over the places; the layers' distances add up.
    """
    parts = []
    for at, layer in enumerate(layers):
        unit = layer.float() / (layer.float().square().sum(1, keepdim=True) + EPSILON).sqrt()
        weighted = unit * weights[at].sqrt()[:, None, None] if weights else unit
        parts.append(weighted.flatten(1) / (layer.shape[2] * layer.shape[3]) ** 0.5)
    return torch.cat(parts, 1)


def product_network(
    model: "ResNetForImageClassification", product: str, prepare: Callable[[Views], Tensor]
) -> FeatureNetwork:
    """Return a ResNet that was trained on the product itself, for evaluation: the network of its own kind.

    `prepare` makes the model's input [B, 3, h, w], on its device, of views uint8 [B, side, side, 3]. The layers are the
    ends of its stages. No other product's numbers compare with these, nor another training's exactly.
    """
    model.eval()
    depth = 2 + BLOCKS[model.config.layer_type] * sum(model.config.depths)

    def activate(views: Views) -> Activations:
        out = model.resnet(prepare(views), output_hidden_states=True)
        return Activations(out.pooler_output.flatten(1), model.classifier(out.pooler_output), out.hidden_states[1:])

    return FeatureNetwork(slug(f"resnet{depth} {product}"), activate)


def clip_network(source: str, key: str, device: torch.device) -> FeatureNetwork:
    """Return CLIP's image encoder: `source` is a folder or a hub id, as `key` of params.yaml says; safetensors only.

    No classes, and no layers that a perceptual distance is known for. Raises ModelError if it is not to be had.
    """
    clip = open_clip(locate(source, key, FILES))
    model = clip.model.to(device)
    side = int(model.config.vision_config.image_size)

    def activate(views: Views) -> Activations:
        seen = np.stack([normalise(view, side, clip.mean, clip.deviation) for view in views])
        return Activations(model.get_image_features(torch.from_numpy(seen).to(device)).pooler_output)

    name = Path(source).name.removesuffix(".safetensors")
    return FeatureNetwork(slug(name if name.lower().startswith("clip") else f"clip {name}"), activate)


def locate(source: str, key: str, files: Sequence[str]) -> Path:
    """Return the local file or folder `source`, or a hub id's folder with those of `files` that the hub has.

    Raises ModelError, naming the `key` of params.yaml, if it is neither, or not to be had.
    """
    if Path(source).exists():
        return Path(source)
    if source.count("/") != 1 or source.startswith((".", "~", "/")):
        raise ModelError(f"{key} = '{source}': no such file or folder; name one, or a hub id (owner/name)")
    return fetch(key, source, "main", files)


def slug(name: str) -> str:
    """Return `name` as part of a measure's name: lower case, other than letters and digits replaced by underscores."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _on_cpu(values: Tensor | None) -> Tensor | None:
    return None if values is None else values.float().cpu()


def _joined(parts: Sequence[Tensor | None]) -> Tensor | None:
    known = [part for part in parts if part is not None]
    return torch.cat(known) if known else None
