"""The real masks of one defect, read once, and the ways to make a new shape of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline_tasks.images.codec import decode_image, decode_mask
from pipeline_tasks.images.foreground import foreground
from pipeline_tasks.masks.components import RealMask
from pipeline_tasks.masks.placement import Seen, see
from pipeline_tasks.masks.shape import Shape, whole_shape
from pipeline_tasks.schema import Sample

ALPHA_MAX = 0.5
"""Interpolated shapes lie in the half of the way nearer to their first parent, whose frame and pixels they keep."""

Interpolate = Callable[[RealMask, RealMask, float], Shape]
"""(a, b, alpha) -> the shape at `alpha`, 0..1, on the way from a to b, in the frame of a; raises Refusal."""


@dataclass(frozen=True, eq=False)
class Parent:
    """A real mask, where its sample is, and where on the object it was."""

    path: str
    real: RealMask
    seen: Seen


@dataclass(frozen=True, eq=False)
class Descent:
    """A new shape, in the frame of `a`, and what it was made of: alpha of the way from `a` to `b`."""

    a: Parent
    b: Parent
    alpha: float
    shape: Shape


def read_parents(samples: Iterable[Sample]) -> list[Parent]:
    """Return the real masks among `samples`, leaving out samples whose mask is absent or empty."""
    return [_read_parent(s.source_path, s.image, s.mask) for s in samples if s.mask is not None and s.mask_area_px > 0]


def _read_parent(path: str, image: bytes, png: bytes) -> Parent:
    mask = decode_mask(png)
    return Parent(path, RealMask(mask), see(whole_shape(mask), foreground(decode_image(image), mask)))


def one_parent(parents: Sequence[Parent], rng: np.random.Generator) -> Descent:
    """Return a real mask as it is."""
    parent = parents[int(rng.integers(len(parents)))]
    return Descent(parent, parent, 0.0, whole_shape(parent.real.mask))


def two_parents(parents: Sequence[Parent], interpolate: Interpolate, rng: np.random.Generator) -> Descent:
    """Return a shape between two of at least two real masks, nearer to the first. Raises Refusal."""
    a, b = (parents[i] for i in rng.choice(len(parents), 2, replace=False))
    alpha = ALPHA_MAX - rng.uniform(0, ALPHA_MAX)
    return Descent(a, b, float(alpha), interpolate(a.real, b.real, alpha))
