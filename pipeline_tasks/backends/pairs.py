"""From masks to pairs: render, composite, measure, record."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from pipeline_tasks.backends.protocol import Backend, Floats, RealDefect, Request
from pipeline_tasks.errors import DataError, LeakageError
from pipeline_tasks.images.codec import decode_image, decode_mask, encode_image, encode_mask
from pipeline_tasks.images.composite import composite, dilate
from pipeline_tasks.params import Generate
from pipeline_tasks.schema import MaskRow, Pair, Sample
from pipeline_tasks.storage import bounded_groups

BLOCK_PAIRS = 10
"""Pairs rendered together: fills batches; a shard is a whole number of blocks where possible."""
BLOCK_PX = 8_000_000
"""A block holds fewer pairs where their images reach this many pixels: bounds memory."""


def make_pairs(
    backend: Backend,
    rows: Iterable[MaskRow],
    samples: Mapping[str, Sample],
    normals: Mapping[str, Sample],
    prompt: str,
    params: Generate,
) -> Iterator[Pair]:
    """Yield one pair per mask row, in order.

    samples, normals: base samples by source_path, all that the rows name. Raises DataError for one that is missing and
    LeakageError for one that is not of the base split.
    """
    requests = (_request(row, samples, normals, prompt) for row in rows)
    for block in bounded_groups(requests, BLOCK_PAIRS, BLOCK_PX, lambda request: request.mask.size):
        for request, generated in zip(block, backend.render(block), strict=True):
            yield _pair(backend, request, generated, normals[request.row.normal_path], params)


def _request(row: MaskRow, samples: Mapping[str, Sample], normals: Mapping[str, Sample], prompt: str) -> Request:
    normal = _base_sample(normals, row.normal_path, row)
    parents = [_base_sample(samples, path, row) for path in (row.parent_a, row.parent_b)]
    real = [RealDefect(decode_image(p.image), decode_mask(p.mask or b"")) for p in parents]
    return Request(row, decode_image(normal.image), decode_mask(row.mask), prompt, *real)


def _base_sample(samples: Mapping[str, Sample], path: str, row: MaskRow) -> Sample:
    pair = f"pair {row.product}/{row.defect}/{row.pair_index}"
    if path not in samples:
        raise DataError(f"{pair} names sample '{path}', which is not in the base split; re-run the masks stage")
    if samples[path].split != "base":
        raise LeakageError(
            f"{pair} names sample '{path}' of the {samples[path].split} split; only base samples may be used"
        )
    return samples[path]


def _pair(backend: Backend, request: Request, generated: Floats, normal: Sample, params: Generate) -> Pair:
    row, mask = request.row, request.mask
    image = composite(request.normal, generated, mask, params.feather_px)
    change = np.abs(image.astype(np.int16) - request.normal).max(axis=2)
    return Pair(
        pair_id=f"{row.product}/{row.defect}/{row.pair_index:06d}",
        pair_index=row.pair_index,
        product=row.product,
        defect=row.defect,
        seed=row.seed,
        backend=backend.name,
        backend_digest=backend.digest,
        prompt=request.prompt,
        normal_path=row.normal_path,
        normal_sha256=row.normal_sha256,
        normal_derived=normal.derived_from is not None,
        mask_kind=row.kind,
        parent_a=row.parent_a,
        parent_b=row.parent_b,
        alpha=row.alpha,
        warp=row.warp,
        width=image.shape[1],
        height=image.shape[0],
        mask_area_px=row.mask_area_px,
        mask_area_fraction=row.mask_area_px / mask.size,
        change_inside=float(change[mask].mean()),
        change_outside_max=int(change[~dilate(mask, params.dilation_px)].max(initial=0)),
        image_sha256=hashlib.sha256(image.tobytes()).hexdigest(),
        image=encode_image(image),
        mask=encode_mask(mask),
    )
