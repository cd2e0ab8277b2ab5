"""What a prior has learned: its loss on drawn scenes that it has not seen, by texture, by defect and by width."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import torch

from pipeline_tasks.images.codec import Mask
from pipeline_tasks.inpainting.window_loss import window_loss
from pipeline_tasks.prior.scenes import WIDER, Draw, is_wide
from pipeline_tasks.prior.windows import prior_window
from pipeline_tasks.seeds import derive_seed

if TYPE_CHECKING:
    from diffusers import UNet2DModel

WIDTHS_PX = (14, 40)
"""Bounds of the widths that are told apart."""


class Measured(NamedTuple):
    """The loss on a scene, of the prior and of random weights, and what the scene shows."""

    prior: float
    random: float
    texture: str
    defect: str
    width: str


def measure_scene(
    unets: tuple["UNet2DModel", "UNet2DModel"],
    draw: Draw,
    seed: int,
    number: int,
    window_px: int,
    wide_every: int,
    device: torch.device,
    dtype: torch.dtype,
) -> Measured:
    """Return what the prior and a network of random weights lose on the held-out scene of this number.

    Both have the same noise and time; neither depends on the other scenes.
    """
    own = derive_seed(seed, "held-out", number)
    scene = draw(own, window_px * (WIDER if is_wide(number, wide_every) else 1))
    window, grain = prior_window(scene, np.random.default_rng(derive_seed(own, "window")))
    noise = derive_seed(own, "noise")
    with torch.inference_mode():
        prior, random = (
            float(window_loss(unet, [window], [grain], 0, np.random.default_rng(noise), device, dtype))
            for unet in unets
        )
    return Measured(prior, random, scene.texture, scene.defect, width_class(scene.mask))


def width_class(mask: Mask) -> str:
    """Return in words how wide a defect [H, W] is: by the largest circle that fits into it."""
    width = 2 * float(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE).max())
    narrow, wide = WIDTHS_PX
    if width < narrow:
        return f"0 to {narrow} px"
    return f"{narrow} to {wide} px" if width < wide else f"{wide} px and more"


def summarise(scenes: Iterable[Measured]) -> dict[str, Any]:
    """Return mean losses: `loss`, `untrained` (random weights), and `texture`, `defect`, `width` by name; `scenes`."""
    found = list(scenes)
    return {
        "scenes": len(found),
        "loss": _mean([each.prior for each in found]),
        "untrained": _mean([each.random for each in found]),
        **{kind: _by(kind, found) for kind in ("texture", "defect", "width")},
    }


def _by(kind: str, scenes: Iterable[Measured]) -> Mapping[str, float]:
    groups = defaultdict(list)
    for scene in scenes:
        groups[str(getattr(scene, kind))].append(scene.prior)
    return {name: _mean(losses) for name, losses in sorted(groups.items())}


def _mean(losses: list[float]) -> float:
    return round(float(np.mean(losses)), 6)
