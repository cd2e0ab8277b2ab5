"""What the `controlnet` backend sees of a request beside its host: a real defect, its reference."""

from dataclasses import dataclass

from pipeline_tasks.backends.protocol import Floats, RealDefect, Request
from pipeline_tasks.diffusion.views import see_mask, see_pixels, view_box
from pipeline_tasks.images.boxes import Box, box_around
from pipeline_tasks.images.codec import Mask


@dataclass(frozen=True)
class Reference:
    """The part `box` of a real defect's image, at S x S px: pixels [3, S, S] in -1..1, mask bool [S, S]."""

    box: Box
    pixels: Floats
    mask: Mask


def reference_of(request: Request, host: Box, resolution_px: int, view: str) -> Reference:
    """Return the mask's first parent (the paper: any real defect) at the scale at which `host` is seen."""
    box = _parent_box(request.parent_a, host, resolution_px, view)
    parent = request.parent_a
    return Reference(box, see_pixels(parent.pixels, box, resolution_px), see_mask(parent.mask, box, resolution_px))


def _parent_box(parent: RealDefect, host: Box, resolution_px: int, view: str) -> Box:
    """Return the part of the parent that is seen: around its defect, as large as `host`; for 'image', all of it."""
    own = view_box(parent.mask, resolution_px, view)
    if view == "image":
        return own
    return box_around((own.y + own.height // 2, own.x + own.width // 2), host.height, parent.mask.shape)
