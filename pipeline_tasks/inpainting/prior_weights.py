"""A prior as half-precision weights on disk, and as the network that a training starts from."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pipeline_tasks.diffusion.file_digests import describe_files
from pipeline_tasks.errors import ConfigError, ModelError
from pipeline_tasks.inpainting.network import PATCH, condition_channels, make_unet
from pipeline_tasks.inpainting.prior_files import CARD, CONDITIONING, CONFIG, FILES, REMEDY, WEIGHTS, read_prior
from pipeline_tasks.storage import read_json, write_json

if TYPE_CHECKING:
    from diffusers import UNet2DModel

MAX_BYTES = 14_000_000
"""Most that a prior's weights may take: they ship with the package and lie in git."""
FIRST = "conv_in.weight"
"""The one weight whose shape depends on how many defects the network knows."""


def load_prior(folder: Path, digest: str, channels: list[int], defect_count: int) -> "UNet2DModel":
    """Return the prior in `folder` as a network of `channels` for `defect_count` defects; its digest must be `digest`.

    A prior knows no defect by name: the planes that name one are read with weights of zero, so that the network
    predicts exactly what the prior predicts. Raises as `read_prior` does; ConfigError if `channels`
    (train.inpainting.channels) are not the prior's, ModelError if its digest or its weights are others.
    """
    if read_prior(folder)["digest"] != digest:
        raise ModelError(f"{folder}: changed since the pretrain stage; run that stage again")
    own = list(read_json(folder / CONFIG)["block_out_channels"])
    if own != channels:
        raise ConfigError(
            f"params.yaml: train.inpainting.channels = {channels}, but the prior in {folder} has {own}; set them to "
            "these, or train.init to 'scratch'"
        )
    unet = make_unet(defect_count, channels, seed=0)
    try:
        unet.load_state_dict(_widened(_weights(folder), defect_count))
    except (KeyError, RuntimeError) as error:
        raise ModelError(f"{folder}: not the weights of this network ({error}); {REMEDY}") from error
    return unet


def _weights(folder: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return {name: weight.float() for name, weight in load_file(folder / WEIGHTS).items()}


def _widened(weights: dict[str, Tensor], defect_count: int) -> dict[str, Tensor]:
    """Return a prior's weights for a network that sees one plane more for each defect: those come last."""
    more = (condition_channels(defect_count) - condition_channels(0)) * PATCH**2
    return weights | {FIRST: torch.nn.functional.pad(weights[FIRST], (0, 0, 0, 0, 0, more))}


def save_prior(unet: "UNet2DModel", folder: Path, card: Mapping[str, Any]) -> None:
    """Write a network without defects into `folder`: config.json, half-precision safetensors, prior.json.

    prior.json holds `card`, the conditioning, and sizes and digests of the files. Raises ConfigError if the weights
    take more than MAX_BYTES.
    """
    from safetensors.torch import save_file

    unet.save_config(folder)
    weights = {name: weight.detach().cpu().half().contiguous() for name, weight in unet.state_dict().items()}
    save_file(weights, folder / WEIGHTS)
    if (size := (folder / WEIGHTS).stat().st_size) > MAX_BYTES:
        raise ConfigError(
            f"prior/params.yaml: train.channels: the prior's weights take {size / 1e6:.1f} MB, and at most "
            f"{MAX_BYTES / 1e6:.0f} MB may ship; narrow the network"
        )
    write_json(folder / CARD, {**card, "conditioning": CONDITIONING, **describe_files(folder, FILES)})
