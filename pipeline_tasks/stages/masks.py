"""Stage masks: new masks of one defect from the real ones, placed on normal images (METHODS section 2)."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline_tasks.errors import DataError, LeakageError
from pipeline_tasks.images.codec import decode_image, decode_mask, encode_mask
from pipeline_tasks.images.foreground import foreground
from pipeline_tasks.masks.parents import Descent, Parent, one_parent, read_parents, two_parents
from pipeline_tasks.masks.placement import Placement, place
from pipeline_tasks.masks.shape import Reason, Refusal
from pipeline_tasks.params import Masks
from pipeline_tasks.schema import MaskRow, Sample
from pipeline_tasks.seeds import derive_seed


@dataclass(frozen=True, slots=True)
class Refused:
    """A pair that none of its attempts could make, with the reason that refused most of them."""

    pair_index: int
    reason: Reason


def run(
    params: Masks, seed: int, product: str, defect: str, samples: Iterable[Sample], normals: Iterable[Sample]
) -> Iterator[MaskRow | Refused]:
    """Yield pair after pair of `defect`: a mask made from those of its base `samples`, placed on one of `normals`.

    A pair depends on the run's `seed` and its index alone. Without real masks there are no pairs.
    Samples are read once, one at a time, and only their masks kept.
    Raises, at once, DataError if there is no normal image and LeakageError for a sample outside the base split.
    """
    sources = _Sources(read_parents(_of_base(samples)), [_read_host(s) for s in _of_base(normals)], params)
    if not sources.hosts:
        raise DataError(
            f"{product}: no normal image to place '{defect}' on; add images to its 'good' folder and run ingest again"
        )
    pairs = range(params.pairs_per_defect) if sources.parents else range(0)
    return (_make_pair(i, derive_seed(seed, product, defect, i), product, defect, sources) for i in pairs)


def _of_base(samples: Iterable[Sample]) -> Iterator[Sample]:
    for sample in samples:
        if sample.split != "base":
            raise LeakageError(
                f"{sample.product}: '{sample.source_path}' is of the {sample.split} split; new masks are made from "
                "base samples and placed on base images only: give this stage the tables of the base folder"
            )
        yield sample


@dataclass(frozen=True, slots=True)
class _Host:
    """A normal image by its path and digest, with the object on it as a PNG mask: thousands fit in memory."""

    path: str
    sha256: str
    foreground: bytes


def _read_host(normal: Sample) -> _Host:
    return _Host(normal.source_path, normal.sha256, encode_mask(foreground(decode_image(normal.image))))


@dataclass(frozen=True, slots=True)
class _Sources:
    parents: Sequence[Parent]
    hosts: Sequence[_Host]
    params: Masks


def _make_pair(index: int, seed: int, product: str, defect: str, sources: _Sources) -> MaskRow | Refused:
    """Choose a shape, then normal images and places for it until one is accepted."""
    parents, params, rng = sources.parents, sources.params, np.random.default_rng(seed)
    interpolated = rng.random() < params.interpolated_fraction and len(parents) > 1
    seen, descent, reasons = [p.seen for p in parents], None, Counter[Reason]()
    for attempt in range(1, params.attempts + 1):
        try:
            descent = descent or (two_parents if interpolated else one_parent)(parents, rng)
            host = sources.hosts[int(rng.integers(len(sources.hosts)))]
            placed = place(descent.shape, decode_mask(host.foreground), seen, params, rng)
        except Refusal as refusal:
            reasons[refusal.reason] += 1
        else:
            return _row(index, product, defect, seed, host, descent, placed, attempt)
    return Refused(index, reasons.most_common(1)[0][0])


def _row(
    index: int, product: str, defect: str, seed: int, host: _Host, descent: Descent, placed: Placement, attempts: int
) -> MaskRow:
    return MaskRow(
        pair_index=index,
        product=product,
        defect=defect,
        seed=seed,
        normal_path=host.path,
        normal_sha256=host.sha256,
        kind=descent.kind,
        parent_a=descent.a.path,
        parent_b=descent.b.path,
        alpha=descent.alpha,
        warp=placed.warp.ravel().tolist(),
        attempts=attempts,
        mask_area_px=int(placed.mask.sum()),
        mask=encode_mask(placed.mask),
    )
