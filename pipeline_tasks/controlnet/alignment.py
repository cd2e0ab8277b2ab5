"""Laying a real defect over the mask of a generated one, at latent size (DefectSynth Eq. 5-6)."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from pipeline_tasks.images.codec import Mask


@dataclass(frozen=True, slots=True)
class Alignment:
    """A rotation about the grid's centre by `degrees`, from the x axis to the y axis; then a shift, in cells."""

    degrees: float
    dy: int
    dx: int


def align(reference: Mask, mask: Mask, rotations: int) -> Alignment:
    """Return the motion of `reference` that covers most of `mask`, both bool [h, w] (Eq. 5).

    All shifts and `rotations` angles, evenly over a full turn, are tried. Of equally good motions the one that rotates
    least wins, then the one that shifts least.
    """
    return _align(reference.tobytes(), mask.tobytes(), mask.shape, rotations)


@lru_cache(maxsize=4096)
def _align(reference: bytes, mask: bytes, shape: tuple[int, int], rotations: int) -> Alignment:
    still, target = (torch.from_numpy(np.frombuffer(raw, bool).reshape(shape).copy()) for raw in (reference, mask))
    angles = _angles(rotations)
    overlaps = _overlaps(torch.stack([moved(still, Alignment(angle, 0, 0)) for angle in angles]), target)
    rank = int(overlaps.amax(dim=(1, 2)).argmax())
    shifts = (overlaps[rank] == overlaps[rank].max()).nonzero().numpy() - (np.array(shape) - 1)
    dy, dx = shifts[np.lexsort((shifts[:, 1], shifts[:, 0], (shifts**2).sum(axis=1)))[0]]
    return Alignment(angles[rank], int(dy), int(dx))


def _angles(rotations: int) -> list[float]:
    """Return the angles in degrees, in -180..180, the least rotation first."""
    turns = [360 * step / rotations for step in range(rotations)]
    return sorted((turn - 360 if turn > 180 else turn for turn in turns), key=lambda angle: (abs(angle), angle))


def _overlaps(references: Tensor, mask: Tensor) -> Tensor:
    """Return how many cells of `mask` [h, w] each of `references` [R, h, w] covers when shifted: [R, 2h - 1, 2w - 1].

    Entry [r, h - 1 + dy, w - 1 + dx] belongs to the shift (dy, dx). Cross-correlation by FFT, padded with zeros.
    """
    height, width = mask.shape
    size = [2 * height, 2 * width]
    spectra = torch.fft.rfft2(references.float(), s=size).conj() * torch.fft.rfft2(mask.float(), s=size)
    counts: Tensor = torch.fft.irfft2(spectra, s=size).round().int()
    return counts.roll((height - 1, width - 1), dims=(1, 2))[:, : 2 * height - 1, : 2 * width - 1]


def moved(planes: Tensor, motion: Alignment) -> Tensor:
    """Return `planes` [..., h, w], latents or masks, rotated, then shifted; what comes from outside is zero (Eq. 6).

    The paper writes z'_r = R(T(z_r)); rotating first makes the shift that Eq. 5 finds independent of the angle. Every
    cell is one of the original's, the nearest: averages of latents are no latents.
    """
    ys, xs, inside = _sources(motion.degrees, planes.shape[-2], planes.shape[-1])
    shifted: Tensor = pad(planes[..., ys, xs] * inside, [motion.dx, -motion.dx, motion.dy, -motion.dy])
    return shifted


@lru_cache(maxsize=512)
def _sources(degrees: float, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return for every cell the row and column it is rotated from, and whether there is such a cell; each [h, w]."""
    sizes = np.array([height, width]).reshape(2, 1, 1)
    ys, xs = np.mgrid[:height, :width] - (sizes - 1) / 2
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    sources = np.rint(np.stack([cos * ys - sin * xs, cos * xs + sin * ys]) + (sizes - 1) / 2).astype(np.intp)
    inside = ((sources >= 0) & (sources < sizes)).all(axis=0)
    rows, columns = torch.from_numpy(np.clip(sources, 0, sizes - 1))
    return rows, columns, torch.from_numpy(inside)
