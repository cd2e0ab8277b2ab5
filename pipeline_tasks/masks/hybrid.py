"""Whether masks are made between real ones in image or in latent space, per defect (DefectSynth section III-C)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline_tasks.errors import ConfigError
from pipeline_tasks.masks.components import Component, RealMask
from pipeline_tasks.params import Masks


@dataclass(frozen=True)
class Choice:
    """How new masks are made (the column MaskRow.kind), and the reason in words."""

    kind: Literal["transformed", "image", "latent", "perlin"]
    reason: str


def choose(params: Masks, masks: Sequence[RealMask], *, latent: bool) -> Choice:
    """Return what params.kind says or, for 'hybrid', what suits `masks`, all real ones of the defect, at least one.

    Latent space if their mean share of the image is at least params.tau (the paper). Thin branched defects can have a
    large area, but lose their shape there, so their mean width must be at least params.min_width_px too; and a trained
    latent model is needed. `latent`: whether there is one; without it ConfigError is raised for 'latent'.
    """
    if params.kind == "latent" and not latent:
        raise ConfigError(
            "params.yaml: masks.kind is 'latent', but this backend has no latent model; "
            "set backend.name to controlnet or dit, or masks.kind to hybrid or image"
        )
    if params.kind != "hybrid":
        return Choice(params.kind, "chosen in params.yaml")
    area = float(np.mean([real.mask.mean() for real in masks]))
    if area < params.tau:
        return Choice("image", f"mean area {area:.2%} < tau {params.tau:.2%}")
    width = mean_width_px(masks)
    if width < params.min_width_px:
        return Choice("image", f"mean width {width:.1f} px < {params.min_width_px:g} px")
    if not latent:
        return Choice("image", "no trained latent model")
    return Choice("latent", f"mean area {area:.2%} >= tau {params.tau:.2%}, mean width {width:.1f} px")


def mean_width_px(masks: Sequence[RealMask]) -> float:
    """Return the mean width of the components of `masks`, px, each counted by its area."""
    components = [component for real in masks for component in real.components]
    return float(np.average([_width_px(c) for c in components], weights=[c.area_px for c in components]))


def _width_px(component: Component) -> float:
    """Return area / length of the centre lines, at most the side of a square of that area.

    The limit is for spots, whose centre line is hardly longer than a point.
    """
    return min(component.area_px / len(component.skeleton.points), float(np.sqrt(component.area_px)))
