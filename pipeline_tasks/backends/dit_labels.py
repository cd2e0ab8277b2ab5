"""What the `dit` backend says of what it painted: labels from attention and change, trials of the strength."""

from dataclasses import dataclass
from functools import cached_property
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.backends.host_views import HostView
from pipeline_tasks.backends.protocol import Floats, Rendered, Request
from pipeline_tasks.dit.attention_mask import agreement, attention_mask, changed_pixels, refine
from pipeline_tasks.dit.sampling import Scene
from pipeline_tasks.dit.texts import Names
from pipeline_tasks.errors import DataError
from pipeline_tasks.images.boxes import Box, crop, inside
from pipeline_tasks.images.codec import Mask, encode_grey, encode_image, encode_mask
from pipeline_tasks.images.composite import composite
from pipeline_tasks.images.honesty import Change, change_between
from pipeline_tasks.schema import StrengthTrial

AREA_SLACK = 4.0
"""A generated label's area may leave the range of what it should be by this factor; see validate.mask_area.slack."""


class Scales(TypedDict):
    """w_p and w_d of Eq. 4."""

    product_scale: float
    defect_scale: float


@dataclass(frozen=True)
class Sight:
    """A request as the generator sees it, at one strength of its defect."""

    request: Request
    view: HostView
    names: Names
    scene: Scene

    @property
    def scales(self) -> Scales:
        """Return w_p and w_d."""
        return {"product_scale": float(self.scene.product_scale), "defect_scale": float(self.scene.defect_scale)}


@dataclass(frozen=True)
class Painting:
    """A sight made with its defect and without, of the same noise, RGB 0..255 [h, w, 3]; the mean attention mask.

    attention: grey levels 0..255 [h, w].
    """

    pixels: Floats
    normal: Floats
    attention: Floats

    @cached_property
    def change(self) -> Change:
        """What the defect changed, grey levels [h, w]."""
        return change_between(self.pixels, self.normal)

    @cached_property
    def attended(self) -> Mask:
        """The attention mask, bool [h, w]."""
        return attention_mask(self.attention)

    @property
    def agreement(self) -> float:
        """IoU of the attention mask and the changed pixels."""
        return agreement(self.attended, self.change)

    def label(self, dilation_px: int) -> Mask:
        """Return the mask, bool [h, w], that attention and change make together."""
        return refine(self.attended, self.change, dilation_px)


def names_of(request: Request) -> Names:
    """Return the names in a request. Raises DataError if it has none."""
    if request.names is None:
        row = request.row
        raise DataError(
            f"pair {row.product}/{row.defect}/{row.pair_index}: the prompts hold no names of the product and the "
            "defect; set prompts.kind to disentangled in params.yaml and re-run the prompts stage"
        )
    return Names(*request.names)


def generated_pair(sight: Sight, painting: Painting, dilation_px: int) -> Rendered:
    """Return a pair whose image and mask are both generated.

    The mask is empty, so that the pair cannot be kept, where its area is not that of a defect of the kind.
    """
    box, label = sight.view.box, painting.label(dilation_px)
    return Rendered(
        Box(0, 0, box.height, box.width),
        painting.pixels,
        painting.normal,
        mask=label & _plausible(label, sight.request),
        agreement=painting.agreement,
        **sight.scales,
    )


def _plausible(label: Mask, request: Request) -> bool:
    """Tell whether a label is about as large as the parents' masks; in zero-shot, where those are of another product
    and scale, as the mask that was fitted to this one.
    """
    fitted, parents = [request.mask], [request.parent_a.mask, request.parent_b.mask]
    own = request.row.source == request.row.product
    areas = [int(mask.sum()) for mask in (parents if own else fitted)]
    return min(areas) / AREA_SLACK <= int(label.sum()) <= max(areas) * AREA_SLACK


def composited(sight: Sight, pixels: Floats, feather_px: int) -> Floats:
    """Return the part of the given normal image that is seen, with `pixels` [h, w, 3] in it as a pair has them."""
    request, box = sight.request, sight.view.box
    host = np.asarray(crop(request.normal, box), np.uint8)
    return composite(host, pixels, inside(request.mask, box), feather_px).astype(np.float32)


def strength_trial(sight: Sight, painting: Painting, dilation_px: int) -> StrengthTrial:
    """Return the row of a sight that was made at one of the trials' strengths."""
    row, label, changed = sight.request.row, painting.label(dilation_px), changed_pixels(painting.change)
    return StrengthTrial(
        product=row.product,
        defect=row.defect,
        source=row.source,
        pair_index=row.pair_index,
        seed=sight.request.seed,
        **sight.scales,
        changed_px=int(changed.sum()),
        changed_fraction=float(changed.mean()),
        mask_area_px=int(label.sum()),
        agreement=painting.agreement,
        image=encode_image(_levels(painting.pixels)),
        normal=encode_image(_levels(painting.normal)),
        attention=encode_grey(_levels(painting.attention)),
        mask=encode_mask(label),
    )


def _levels(pixels: Floats) -> NDArray[np.uint8]:
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
