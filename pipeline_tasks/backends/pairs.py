"""From masks to pairs: render, score, render again what is not honest, composite, measure, record."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np

from pipeline_tasks.backends.protocol import Backend, Floats, RealDefect, Rendered, Request
from pipeline_tasks.errors import DataError, LeakageError
from pipeline_tasks.images.boxes import inside
from pipeline_tasks.images.codec import Mask, Pixels, decode_image, decode_mask, encode_image, encode_mask
from pipeline_tasks.images.composite import composite, dilate
from pipeline_tasks.images.honesty import alignment, change_between, spill
from pipeline_tasks.params import Generate
from pipeline_tasks.prompts import PromptBook
from pipeline_tasks.schema import ATTENTION, MaskRow, Pair, Rejected, Sample
from pipeline_tasks.seeds import derive_seed
from pipeline_tasks.storage import bounded_groups

BLOCK_PX = 200_000_000
"""A block is split where its images reach this many pixels: bounds memory."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    request: Request
    rendered: Rendered
    alignment: float
    number: int

    @property
    def merit(self) -> tuple[bool, float]:
        """Whether the mask marks something, and how well what changed agrees with it: the higher the better."""
        return self.rendered.mask is None or bool(self.rendered.mask.any()), self.alignment

    def is_honest(self, params: Generate) -> bool:
        """Tell whether what changed agrees with a mask that marks something."""
        return self.merit >= (True, params.min_alignment)


def make_pairs(
    backend: Backend,
    rows: Iterable[MaskRow],
    samples: Mapping[str, Sample],
    normals: Mapping[str, Sample],
    prompts: PromptBook,
    params: Generate,
) -> Iterator[Pair | Rejected]:
    """Yield one pair per mask row, in order; or its rejection, if no attempt at it is honest.

    That is: its alignment stays below params.min_alignment, or a mask that the backend makes itself stays empty.

    Rows are rendered in blocks of `block_pairs` consecutive pair indices, so that no pair depends on shards. A pair
    that scores too low is made again, from the next seed, up to params.attempts times. samples, normals: base samples
    by source_path, all that the rows name. Raises DataError for one that is missing and LeakageError for one that is
    not of the base split.
    """

    def judged(attempt: _Attempt) -> Pair | Rejected:
        row = attempt.request.row
        if not attempt.is_honest(params):
            return Rejected(row.pair_index, row.product, row.defect, attempt.number, attempt.alignment)
        return _pair(backend, attempt, normals[row.normal_path], params)

    with ThreadPoolExecutor(params.threads) as pool:
        for requests in _blocks(requests_of(rows, samples, normals, prompts), params.block_pairs):
            yield from pool.map(judged, _best_attempts(backend, requests, params, pool))


def requests_of(
    rows: Iterable[MaskRow], samples: Mapping[str, Sample], normals: Mapping[str, Sample], prompts: PromptBook
) -> Iterator[Request]:
    """Yield what a backend is asked to make of each mask row, decoded one at a time. Raises as `make_pairs`."""
    return (_request(row, samples, normals, prompts) for row in rows)


def _blocks(requests: Iterable[Request], block_pairs: int) -> Iterator[list[Request]]:
    for _, block in groupby(requests, key=lambda request: request.row.pair_index // block_pairs):
        yield from bounded_groups(block, block_pairs, BLOCK_PX, lambda request: request.mask.size)


def _best_attempts(
    backend: Backend, requests: Sequence[Request], params: Generate, pool: ThreadPoolExecutor
) -> list[_Attempt]:
    """Return of each request its first attempt that is honest enough, else the best one; its number counts all made."""
    best: dict[int, _Attempt] = {}
    first: dict[int, Rendered] = {}
    pending = list(requests)
    for number in range(1, params.attempts + 1):
        rendered = backend.render(pending, first)
        scores = pool.map(_alignment, pending, rendered)
        made = [_Attempt(*one, number) for one in zip(pending, rendered, scores, strict=True)]
        first = first or {attempt.request.row.pair_index: attempt.rendered for attempt in made}
        for attempt in made:
            index = attempt.request.row.pair_index
            better = index not in best or attempt.merit > best[index].merit
            best[index] = attempt if better else replace(best[index], number=number)
        pending = [_again(a.request, number) for a in made if not a.is_honest(params)]
        if not pending:
            break
    return [best[request.row.pair_index] for request in requests]


def _again(request: Request, number: int) -> Request:
    return replace(request, seed=derive_seed(request.row.seed, "attempt", number))


def _alignment(request: Request, rendered: Rendered) -> float:
    mask = inside(request.mask, rendered.box) if rendered.mask is None else rendered.mask
    return alignment(change_between(rendered.pixels, rendered.unchanged), mask)


def _request(
    row: MaskRow, samples: Mapping[str, Sample], normals: Mapping[str, Sample], prompts: PromptBook
) -> Request:
    normal = _base_sample(normals, row.normal_path, row)
    real = {path: _real_defect(_base_sample(samples, path, row)) for path in {row.parent_a, row.parent_b}}
    return Request(
        row,
        decode_image(normal.image),
        decode_mask(row.mask),
        prompts.of(row.product, row.defect, row.parent_a),
        real[row.parent_a],
        real[row.parent_b],
        row.seed,
        prompts.names(row.product, row.defect) if prompts.words else None,
    )


def _real_defect(sample: Sample) -> RealDefect:
    return RealDefect(decode_image(sample.image), decode_mask(sample.mask or b""))


def _base_sample(samples: Mapping[str, Sample], path: str, row: MaskRow) -> Sample:
    pair = f"pair {row.product}/{row.defect}/{row.pair_index}"
    if path not in samples:
        raise DataError(f"{pair} names sample '{path}', which is not in the base split; re-run the masks stage")
    if samples[path].split != "base":
        raise LeakageError(
            f"{pair} names sample '{path}' of the {samples[path].split} split; only base samples may be used"
        )
    return samples[path]


def _pair(backend: Backend, attempt: _Attempt, normal: Sample, params: Generate) -> Pair:
    request, rendered = attempt.request, attempt.rendered
    row, host, mask = request.row, *_host_and_mask(request, rendered)
    image = composite(host, _whole(host, rendered), mask, params.feather_px)
    change = np.abs(image.astype(np.int16) - host).max(axis=2)
    near = dilate(mask, params.dilation_px)
    return Pair(
        pair_id=f"{row.product}/{row.defect}/{row.pair_index:06d}",
        pair_index=row.pair_index,
        product=row.product,
        defect=row.defect,
        source=row.source,
        seed=request.seed,
        attempts=attempt.number,
        backend=backend.name,
        backend_digest=backend.digest,
        prompt=request.prompt,
        **(_from_row(row, normal) if rendered.mask is None else _generated(host)),
        width=image.shape[1],
        height=image.shape[0],
        mask_area_px=int(mask.sum()),
        mask_area_fraction=float(mask.mean()),
        fused_with=list(rendered.fused_with),
        alignment=attempt.alignment,
        spill=spill(change_between(rendered.pixels, rendered.unchanged), inside(near, rendered.box)),
        change_inside=float(change[mask].mean()),
        change_outside_max=int(change[~near].max(initial=0)),
        product_scale=rendered.product_scale,
        defect_scale=rendered.defect_scale,
        agreement=rendered.agreement,
        image_sha256=_digest(image),
        image=encode_image(image),
        mask=encode_mask(mask),
    )


def _host_and_mask(request: Request, rendered: Rendered) -> tuple[Pixels, Mask]:
    """Return the normal image that the pair differs from under the mask, and the mask: the request's, or generated."""
    if rendered.mask is None:
        return request.normal, request.mask
    return np.clip(np.rint(rendered.unchanged), 0, 255).astype(np.uint8), rendered.mask


def _from_row(row: MaskRow, normal: Sample) -> dict[str, Any]:
    return {
        "normal_path": row.normal_path,
        "normal_sha256": row.normal_sha256,
        "normal_derived": normal.derived_from is not None,
        "mask_kind": row.kind,
        "parent_a": row.parent_a,
        "parent_b": row.parent_b,
        "alpha": row.alpha,
        "warp": row.warp,
        "normal": None,
    }


def _generated(normal: Pixels) -> dict[str, Any]:
    """Return the origin of a pair that the backend made whole, with its own normal image."""
    return {
        "normal_path": None,
        "normal_sha256": _digest(normal),
        "normal_derived": False,
        "mask_kind": ATTENTION,
        "parent_a": None,
        "parent_b": None,
        "alpha": None,
        "warp": [],
        "normal": encode_image(normal),
    }


def _digest(pixels: Pixels) -> str:
    return hashlib.sha256(pixels.tobytes()).hexdigest()


def _whole(host: Pixels, rendered: Rendered) -> Floats:
    """Return the normal image `host`, float RGB 0..255 [H, W, 3], with the rendered part in it."""
    image, box = host.astype(np.float32), rendered.box
    top, left = max(box.y, 0), max(box.x, 0)
    seen = image[top : max(box.y + box.height, 0), left : max(box.x + box.width, 0)]
    seen[...] = rendered.pixels[top - box.y :, left - box.x :][: seen.shape[0], : seen.shape[1]]
    return image
