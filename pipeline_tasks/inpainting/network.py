"""The inpainting network: a diffusers UNet behind a space-to-depth step (METHODS section 3a)."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from pipeline_tasks.inpainting.appearance import PLANES

if TYPE_CHECKING:
    from diffusers import UNet2DModel

PATCH = 2


def condition_channels(defect_count: int) -> int:
    """Return how many planes the network sees: 3 pixels, hole, mask, the look, one plane per defect."""
    return 3 + 1 + 1 + PLANES + defect_count


def make_unet(defect_count: int, channels: list[int], seed: int) -> "UNet2DModel":
    """Return a UNet for `defect_count` defects, `channels` features per level, fresh weights from `seed`."""
    from diffusers import UNet2DModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return UNet2DModel(
            in_channels=condition_channels(defect_count) * PATCH**2,
            out_channels=3 * PATCH**2,
            block_out_channels=tuple(channels),
            down_block_types=("DownBlock2D",) * len(channels),
            up_block_types=("UpBlock2D",) * len(channels),
            layers_per_block=1,
            norm_num_groups=8,
            add_attention=False,
        )


def size_multiple(channels: list[int]) -> int:
    """Return the number that both sides of a window must be a multiple of."""
    return int(PATCH * 2 ** (len(channels) - 1))


def velocity(unet: "UNet2DModel", noised: Tensor, condition: Tensor, time: Tensor) -> Tensor:
    """Return the predicted velocity [B, 3, H, W].

    `noised` [B, 3, H, W]: clean context with the noised hole; `condition` [B, C, H, W]: hole, mask, look and defect
    planes; `time` [B] in 0..1. H and W are multiples of `size_multiple`.
    """
    planes = pixel_unshuffle(torch.cat([noised, condition], dim=1), PATCH)
    planes = planes.contiguous(memory_format=torch.channels_last)
    return pixel_shuffle(unet(planes, time * 1000).sample, PATCH)


def condition_planes(hole: Tensor, mask: Tensor, look: Tensor, defect: Tensor, defect_count: int) -> Tensor:
    """Return the condition [B, 2 + 7 + K, H, W]: the one-hot defect is broadcast over the mask.

    hole, mask: [B, 1, H, W] in {0, 1}; look: [B, 7, H, W]; defect: [B] class indices in 0..K-1.
    """
    one_hot = torch.nn.functional.one_hot(defect, max(defect_count, 1))[:, :defect_count].to(mask.dtype)
    return torch.cat([hole, mask, look, one_hot[..., None, None] * mask], dim=1)
