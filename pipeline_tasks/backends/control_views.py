"""What the `controlnet` backend sees of a request: a normal image where the defect will be, a real defect."""

from dataclasses import dataclass

import numpy as np

from pipeline_tasks.backends.protocol import Floats, RealDefect, Request
from pipeline_tasks.diffusion.views import see_mask, see_pixels, view_box
from pipeline_tasks.images.boxes import Box, box_around
from pipeline_tasks.images.codec import Mask
from pipeline_tasks.images.composite import dilate


@dataclass(frozen=True)
class ControlView:
    """The part `box` of a normal image, at S x S px; the parent's defect at the same scale.

    pixels, reference: [3, S, S] in -1..1. mask, hole, reference_mask: bool [S, S]; the hole is where pixels may change.
    """

    box: Box
    pixels: Floats
    mask: Mask
    hole: Mask
    reference_box: Box
    reference: Floats
    reference_mask: Mask
    grey: bool


def control_view(request: Request, resolution_px: int, view: str, dilation_px: int) -> ControlView:
    """Return what is seen of a request. The reference is its mask's first parent (the paper: any real defect)."""
    box, parent = view_box(request.mask, resolution_px, view), request.parent_a
    near = _parent_box(parent, box, resolution_px, view)
    return ControlView(
        box,
        see_pixels(request.normal, box, resolution_px),
        see_mask(request.mask, box, resolution_px),
        see_mask(dilate(request.mask, dilation_px), box, resolution_px),
        near,
        see_pixels(parent.pixels, near, resolution_px),
        see_mask(parent.mask, near, resolution_px),
        bool((request.normal == request.normal[..., :1]).all()),
    )


def _parent_box(parent: RealDefect, box: Box, resolution_px: int, view: str) -> Box:
    """Return the part of the parent that is seen: around its defect, as large as `box`; for 'image', all of it."""
    own = view_box(parent.mask, resolution_px, view)
    if view == "image":
        return own
    return box_around((own.y + own.height // 2, own.x + own.width // 2), box.height, parent.mask.shape)


def latent_cells(mask: Mask, factor: int) -> Mask:
    """Return the latent cells [S / f, S / f] that `mask` [S, S] touches: thin defects stay."""
    height, width = (side // factor for side in mask.shape)
    return np.asarray(mask.reshape(height, factor, width, factor).any(axis=(1, 3)))
