"""What every generator takes and gives."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.images.boxes import Box
from pipeline_tasks.images.codec import Mask, Pixels
from pipeline_tasks.params import Generate
from pipeline_tasks.prompts import PromptBook
from pipeline_tasks.schema import MaskRow, Sample, StrengthTrial

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline_tasks.diffusion.checkpoints import Checkpoints

Floats = NDArray[np.float32]
MAX_NORMALS = 64
"""Normal images of a product that a generator learns from; more add little and cost memory."""
Progress = Callable[[range], Iterator[int]]


@dataclass(frozen=True)
class RealDefect:
    """A decoded base defect sample: RGB uint8 [H, W, 3] and mask bool [H, W]."""

    pixels: Pixels
    mask: Mask


@dataclass(frozen=True)
class Request:
    """One pair to make: its mask row, the normal image [H, W, 3], the mask [H, W], the prompt, the mask's parents.

    `seed` is the row's on the first attempt, and derived from it on later ones. names: of the product in words and of
    the defect, unified, where prompts are disentangled.
    """

    row: MaskRow
    normal: Pixels
    mask: Mask
    prompt: str
    parent_a: RealDefect
    parent_b: RealDefect
    seed: int
    names: tuple[str, str] | None = None


@dataclass(frozen=True)
class Rendered:
    """What a backend makes of a request, in the part `box` of the normal image, before it is composited.

    pixels: float RGB 0..255 [h, w, 3] of `box`, with the defect. unchanged: the same without one, as the backend would
    give the normal image back (a codec loses a little). latents: what later renderings of the block may fuse with.
    fused_with: pair indices of the block's pairs whose latents went into this one. reference: source_path of the real
    defect whose features SAE compared with (DefectSynth Eq. 5-8). appearance_code: the inpainting backend's, as used.

    mask: bool [h, w], where the backend makes image and mask itself; then `pixels` are a whole image and `unchanged` is
    its own normal image. product_scale, defect_scale: w_p and w_d of DefectDiffu Eq. 4. agreement: IoU of the attention
    mask and what changed.
    """

    box: Box
    pixels: Floats
    unchanged: Floats
    latents: "Tensor | None" = None
    fused_with: tuple[int, ...] = ()
    reference: str | None = None
    appearance_code: tuple[float, ...] = ()
    mask: Mask | None = None
    product_scale: float | None = None
    defect_scale: float | None = None
    agreement: float | None = None

    def label(self, request: Request) -> Mask:
        """Return the pair's mask, bool [H, W]: the request's, unless one was made with the image."""
        return request.mask if self.mask is None else self.mask

    def host(self, request: Request) -> Pixels:
        """Return the normal image [H, W, 3] that the pair differs from: the request's, unless one was made with it."""
        if self.mask is None:
            return request.normal
        return np.clip(np.rint(self.unchanged), 0, 255).astype(np.uint8)


class Backend(Protocol):
    """A generator at work. The caller composites, so pixels far from the mask do not matter."""

    @property
    def name(self) -> str:
        """Return the name that params.yaml and the provenance use."""

    @property
    def digest(self) -> str:
        """Return the SHA-256 (hex) of what determines a pair besides the request and the hardware's rounding."""

    def render(self, requests: Sequence[Request], first: Mapping[int, Rendered]) -> list[Rendered]:
        """Return what became of each request, all of one block.

        The result for a request may depend on the others of its block, never on other blocks. On later attempts `first`
        holds the block's first ones by pair index, and `requests` those that are made again; else it is empty.
        """


@runtime_checkable
class Graded(Backend, Protocol):
    """A backend whose defects have a strength (DefectDiffu section 3.3)."""

    def trials(self, requests: Sequence[Request]) -> list[StrengthTrial]:
        """Return every request made at rising strengths of its defect, for the report."""


@dataclass(frozen=True)
class TrainingSamples:
    """What a generator learns from: base samples only, and their prompts. Defects of one product or of several."""

    defects: Sequence[Sample]
    normals: Iterable[Sample]
    prompts: PromptBook


def some_of_each_product(normals: Iterable[Sample]) -> Iterator[Sample]:
    """Yield the first MAX_NORMALS normal samples of each product."""
    seen: Counter[str] = Counter()
    for normal in normals:
        seen[normal.product] += 1
        if seen[normal.product] <= MAX_NORMALS:
            yield normal


class Trained(Protocol):
    """A trained generator."""

    @property
    def losses(self) -> Sequence[float]:
        """Return the loss of every step."""

    def save(self, folder: Path) -> None:
        """Write the generator's files into `folder`, safetensors and JSON."""


class Trainer(Protocol):
    """Trains the generator of one backend."""

    def train(self, samples: TrainingSamples, seed: int, checkpoints: "Checkpoints", progress: Progress) -> Trained:
        """Return the trained generator; every step draws from a seed of its own, so that training resumes exactly.

        Raises DataError without defect samples.
        """


def settings_digest(params: Generate, *own: object) -> str:
    """Return the SHA-256 (hex) of a backend's `own` determinants and the settings that bear on every pair."""
    shared = (params.severity, params.dilation_px, params.feather_px, params.keep, params.attempts)
    return hashlib.sha256(repr((*own, *shared)).encode()).hexdigest()
