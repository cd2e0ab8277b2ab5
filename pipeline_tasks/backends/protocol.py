"""What every generator takes and gives."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.images.codec import Mask, Pixels
from pipeline_tasks.params import Generate
from pipeline_tasks.schema import MaskRow

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class RealDefect:
    """A decoded base defect sample: RGB uint8 [H, W, 3] and mask bool [H, W]."""

    pixels: Pixels
    mask: Mask


@dataclass(frozen=True)
class Request:
    """One pair to make: its mask row, the normal image [H, W, 3], the mask [H, W], the prompt, the mask's parents."""

    row: MaskRow
    normal: Pixels
    mask: Mask
    prompt: str
    parent_a: RealDefect
    parent_b: RealDefect


class Backend(Protocol):
    """A generator. The caller composites, so pixels far from the mask do not matter."""

    @property
    def name(self) -> str:
        """Return the name that params.yaml and the provenance use."""

    @property
    def digest(self) -> str:
        """Return the SHA-256 (hex) of what determines a pair besides the request and the hardware's rounding."""

    def render(self, requests: Sequence[Request]) -> list[Floats]:
        """Return one defective image per request: float RGB 0..255, [H, W, 3] of its normal image's size.

        The result for a request does not depend on the others, up to the rounding of batched kernels.
        """


def settings_digest(params: Generate, *own: object) -> str:
    """Return the SHA-256 (hex) of a backend's `own` determinants and the settings that bear on every pair."""
    settings = (*own, params.severity, params.dilation_px, params.feather_px)
    return hashlib.sha256(repr(settings).encode()).hexdigest()
