"""What generators in latent space see of a request: a normal image where the defect will be."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from pipeline_tasks.backends.protocol import Floats, Request
from pipeline_tasks.diffusion.base_model import BaseModel
from pipeline_tasks.diffusion.views import put_back, see_mask, see_pixels, view_box
from pipeline_tasks.images.boxes import Box
from pipeline_tasks.images.codec import Mask
from pipeline_tasks.images.composite import dilate

T = TypeVar("T")


@dataclass(frozen=True)
class HostView:
    """The part `box` of a normal image, at S x S px.

    pixels: [3, S, S] in -1..1. mask, hole: bool [S, S]; the hole is where pixels may change. grey: a grey image.
    """

    box: Box
    pixels: Floats
    mask: Mask
    hole: Mask
    grey: bool


def host_view(request: Request, resolution_px: int, view: str, dilation_px: int) -> HostView:
    """Return what is seen of a request, see diffusion.views.view_box."""
    box = view_box(request.mask, resolution_px, view)
    return HostView(
        box,
        see_pixels(request.normal, box, resolution_px),
        see_mask(request.mask, box, resolution_px),
        see_mask(dilate(request.mask, dilation_px), box, resolution_px),
        bool((request.normal == request.normal[..., :1]).all()),
    )


def latent_cells(mask: Mask, factor: int) -> Mask:
    """Return the latent cells [S / f, S / f] that `mask` [S, S] touches: thin defects stay."""
    height, width = (side // factor for side in mask.shape)
    return np.asarray(mask.reshape(height, factor, width, factor).any(axis=(1, 3)))


def at_native_size(box: Box, grey: bool, pixels: Floats) -> Floats:
    """Return decoded pixels [3, S, S] in -1..1 as RGB 0..255 [h, w, 3] of `box`; grey stays grey."""
    native = put_back(pixels, box)
    return native.mean(axis=2, keepdims=True).repeat(3, axis=2) if grey else native


def encoded(base: BaseModel, pixels: Sequence[Floats], size: int) -> list[Tensor]:
    """Return the latents [C, h, w], float32, of views [3, S, S] in -1..1, encoded `size` at a time."""
    stacked = (torch.from_numpy(np.stack(batch)) for batch in batches(pixels, size))
    return [latents for batch in stacked for latents in base.encode(batch).float()]


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield the items in lists of `size`, the last one maybe shorter."""
    return (items[start : start + size] for start in range(0, len(items), size))
