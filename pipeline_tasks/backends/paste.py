"""The `paste` backend: real defect pixels on a normal image, gain-matched (Crop-Paste, DefectSynth's baseline)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from pipeline_tasks.backends.protocol import Floats, Progress, Rendered, Request, TrainingSamples, settings_digest
from pipeline_tasks.images.boxes import bounding_box, crop, inside
from pipeline_tasks.images.codec import Mask
from pipeline_tasks.images.composite import dilate
from pipeline_tasks.params import Generate
from pipeline_tasks.seeds import derive_seed
from pipeline_tasks.storage import write_json

if TYPE_CHECKING:
    from pipeline_tasks.diffusion.checkpoints import Checkpoints

RING_PX = 12
DEPTH_WEIGHT = 4.0
GAIN_LIMITS = (0.5, 2.0)
CONTRAST_JITTER = 0.1


@dataclass(frozen=True)
class PasteBackend:
    """`Backend` of protocol.py without a model."""

    params: Generate
    name: str = "paste"

    @property
    def digest(self) -> str:
        """See protocol.Backend: there are no weights, but the constants above."""
        return settings_digest(self.params, self.name, RING_PX, DEPTH_WEIGHT, GAIN_LIMITS, CONTRAST_JITTER)

    def render(self, requests: Sequence[Request], first: Mapping[int, Rendered]) -> list[Rendered]:
        """See protocol.Backend: the first parent's pixels, moved under the mask and matched to the host's level."""
        return [self._paste(request) for request in requests]

    def _paste(self, request: Request) -> Rendered:
        source, source_mask = request.parent_a.pixels.astype(np.float32), request.parent_a.mask
        near = dilate(request.mask, self.params.dilation_px)
        colours = _moved(source, source_mask, request.mask, near, request.row.warp)
        source_level = source[dilate(source_mask, RING_PX) & ~dilate(source_mask, 2)]
        source_level = source_level.mean(axis=0) if len(source_level) else source.mean(axis=(0, 1))
        box = bounding_box(near, RING_PX)
        ring = inside(dilate(request.mask, RING_PX) & ~near, box)
        unchanged, hole = crop(request.normal, box).astype(np.float32), inside(near, box)
        host_level = unchanged[ring].mean(axis=0) if ring.any() else unchanged.mean(axis=(0, 1))
        gain = np.clip(host_level / np.maximum(source_level, 1), *GAIN_LIMITS)
        rng = np.random.default_rng(derive_seed(request.seed, "contrast"))
        contrast = self.params.severity * rng.uniform(1 - CONTRAST_JITTER, 1 + CONTRAST_JITTER)
        pixels = unchanged.copy()
        pixels[hole] = host_level + contrast * (colours * gain - host_level)
        return Rendered(box, pixels, unchanged)


def _moved(source: Floats, source_mask: Mask, mask: Mask, near: Mask, warp: list[float]) -> Floats:
    """Return a source colour [N, 3] for each pixel of `near`, from the same place and depth in the source defect.

    A warped mask finds exactly its own pixels; an interpolated one, whose pixels may lie outside the source's mask,
    finds the nearest at the same distance from the edge, so that cores are filled with core.
    """
    margin = dilate(source_mask, RING_PX)
    ys, xs = np.nonzero(margin)
    known = np.column_stack([xs, ys, DEPTH_WEIGHT * _depth(source_mask)[ys, xs]])
    back = cv2.invertAffineTransform(np.asarray(warp, np.float64).reshape(2, 3))
    to_y, to_x = np.nonzero(near)
    at = np.column_stack([to_x, to_y, np.ones_like(to_x)]) @ back.T
    scale = np.sqrt(abs(np.linalg.det(back[:, :2])))
    wanted = np.column_stack([at, DEPTH_WEIGHT * scale * _depth(mask)[to_y, to_x]])
    _, nearest = KDTree(known).query(wanted)
    return np.asarray(source[ys[nearest], xs[nearest]], np.float32)


def _depth(mask: Mask) -> NDArray[np.float32]:
    """Return the signed distance to the mask's edge in px, positive inside."""
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(inside - outside, np.float32)


@dataclass(frozen=True)
class NothingTrained:
    """`Trained` of protocol.py: pasting learns nothing."""

    losses: tuple[float, ...] = ()

    def save(self, folder: Path) -> None:
        """Write a card that says so."""
        write_json(folder / "generator.json", {"backend": "paste"})


@dataclass(frozen=True)
class PasteTrainer:
    """`Trainer` of protocol.py."""

    def train(
        self, samples: TrainingSamples, seed: int, checkpoints: "Checkpoints", progress: Progress
    ) -> NothingTrained:
        """Return at once."""
        return NothingTrained()
