"""From masks to pairs: render, score, judge, render again what cannot be kept, composite, record."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import groupby, repeat
from typing import Any

import numpy as np

from pipeline_tasks.backends.judgement import Failing, Scores, judge, score
from pipeline_tasks.backends.protocol import Backend, Floats, RealDefect, Rendered, Request
from pipeline_tasks.errors import DataError
from pipeline_tasks.images.codec import (
    Pixels,
    decode_image,
    decode_mask,
    encode_image,
    encode_mask,
    image_digest,
    mask_digest,
)
from pipeline_tasks.images.composite import composite, dilate
from pipeline_tasks.images.similarity import KnownDefects, change_hash
from pipeline_tasks.params import Generate
from pipeline_tasks.prompts import PromptBook
from pipeline_tasks.provenance import MadeBy, sealed
from pipeline_tasks.schema import ATTENTION, MaskRow, Pair, Rejected, Sample
from pipeline_tasks.seeds import derive_seed
from pipeline_tasks.splits.guard import of_base
from pipeline_tasks.storage import bounded_groups

BLOCK_PX = 200_000_000
"""A block is split where its images reach this many pixels: bounds memory."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    request: Request
    rendered: Rendered
    scores: Scores
    failing: Failing | None
    number: int

    @property
    def merit(self) -> tuple[int, float]:
        """How far it came in the judgement, and how well what changed agrees with the mask: the higher the better."""
        reasons: list[Failing | None] = [*Failing, None]
        return reasons.index(self.failing), self.scores.alignment


def make_pairs(
    backend: Backend,
    rows: Iterable[MaskRow],
    samples: Mapping[str, Sample],
    normals: Mapping[str, Sample],
    prompts: PromptBook,
    known: KnownDefects,
    params: Generate,
    made_by: MadeBy,
) -> Iterator[Pair | Rejected]:
    """Yield one pair per mask row, in order; or its rejection, if no attempt at it can be kept (backends/judgement.py).

    Rows are rendered in blocks of `block_pairs` consecutive pair indices, so that no pair depends on shards. A pair
    that fails is made again, from the next seed, up to params.attempts times. samples, normals: base samples by
    source_path, all that the rows name. known: the base defects that a pair must not copy. made_by: what the pairs'
    provenance says of this run. Raises DataError for a sample that is missing and LeakageError for one that is not of
    the base split.
    """

    def judged(attempt: _Attempt) -> Pair | Rejected:
        if attempt.failing is not None:
            return _rejected(attempt, attempt.failing)
        return sealed(_pair(backend, attempt, normals[attempt.request.row.normal_path], params, made_by))

    with ThreadPoolExecutor(params.threads) as pool:
        for requests in _blocks(requests_of(rows, samples, normals, prompts), params.block_pairs):
            yield from pool.map(judged, _best_attempts(backend, requests, known, params, pool))


def requests_of(
    rows: Iterable[MaskRow], samples: Mapping[str, Sample], normals: Mapping[str, Sample], prompts: PromptBook
) -> Iterator[Request]:
    """Yield what a backend is asked to make of each mask row, decoded one at a time. Raises as `make_pairs`."""
    return (_request(row, samples, normals, prompts) for row in rows)


def block_of(pair_index: int, block_pairs: int) -> range:
    """Return the pair indices of the block that a pair is rendered in."""
    first = pair_index // block_pairs * block_pairs
    return range(first, first + block_pairs)


def _blocks(requests: Iterable[Request], block_pairs: int) -> Iterator[list[Request]]:
    for _, block in groupby(requests, key=lambda request: block_of(request.row.pair_index, block_pairs)):
        yield from bounded_groups(block, block_pairs, BLOCK_PX, lambda request: request.mask.size)


def _best_attempts(
    backend: Backend, requests: Sequence[Request], known: KnownDefects, params: Generate, pool: ThreadPoolExecutor
) -> list[_Attempt]:
    """Return of each request its first attempt that can be kept, else the best one; its number counts all made."""

    def attempt(request: Request, rendered: Rendered, number: int) -> _Attempt:
        scores = score(request, rendered, params.dilation_px, known)
        return _Attempt(request, rendered, scores, judge(scores, params.keep), number)

    best: dict[int, _Attempt] = {}
    first: dict[int, Rendered] = {}
    pending = list(requests)
    for number in range(1, params.attempts + 1):
        made = list(pool.map(attempt, pending, backend.render(pending, first), repeat(number)))
        first = first or {one.request.row.pair_index: one.rendered for one in made}
        for one in made:
            index = one.request.row.pair_index
            better = index not in best or one.merit > best[index].merit
            best[index] = one if better else replace(best[index], number=number)
        pending = [_again(one.request, number) for one in made if one.failing is not None]
        if not pending:
            break
    return [best[request.row.pair_index] for request in requests]


def _again(request: Request, number: int) -> Request:
    return replace(request, seed=derive_seed(request.row.seed, "attempt", number))


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
    return next(of_base([samples[path]], f"generate, {pair}"))


def _rejected(attempt: _Attempt, reason: Failing) -> Rejected:
    row, scores = attempt.request.row, attempt.scores
    return Rejected(
        pair_index=row.pair_index,
        product=row.product,
        defect=row.defect,
        attempts=attempt.number,
        reason=reason.value,
        alignment=scores.alignment,
        label_iou=scores.label_iou,
        spill=scores.spill,
        change_inside=scores.change_inside,
        nearest_similarity=scores.nearest_similarity,
    )


def _pair(backend: Backend, attempt: _Attempt, normal: Sample, params: Generate, made_by: MadeBy) -> Pair:
    """Return the pair of an attempt, without its seal."""
    request, rendered, scores = attempt.request, attempt.rendered, attempt.scores
    row, host, mask = request.row, rendered.host(request), rendered.label(request)
    image = composite(host, _whole(host, rendered), mask, params.feather_px)
    outside = np.abs(image.astype(np.int16) - host)[~dilate(mask, params.dilation_px)]
    height, width = mask.shape
    ys, xs = np.nonzero(mask)
    return Pair(
        pair_id=f"{row.product}/{row.defect}/{row.pair_index:06d}",
        pair_index=row.pair_index,
        product=row.product,
        defect=row.defect,
        source=row.source,
        seed=request.seed,
        mask_seed=row.seed,
        attempts=attempt.number,
        backend=backend.name,
        backend_digest=backend.digest,
        code_revision=made_by.code_revision,
        run_id=made_by.run_id,
        prompt=request.prompt,
        **(_from_row(row, normal) if rendered.mask is None else _generated(host)),
        width=width,
        height=height,
        mask_area_fraction=float(mask.mean()),
        mask_x=float(xs.mean() + 0.5) / width,
        mask_y=float(ys.mean() + 0.5) / height,
        reference=rendered.reference,
        appearance_code=list(rendered.appearance_code),
        fused_with=list(rendered.fused_with),
        **asdict(scores),
        change_outside_max=int(outside.max(initial=0)),
        product_scale=rendered.product_scale,
        defect_scale=rendered.defect_scale,
        agreement=rendered.agreement,
        phash=change_hash(image, host),
        image_sha256=image_digest(image),
        mask_sha256=mask_digest(mask),
        row_sha256="",
        image=encode_image(image),
        mask=encode_mask(mask),
    )


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
        "normal_sha256": image_digest(normal),
        "normal_derived": False,
        "mask_kind": ATTENTION,
        "parent_a": None,
        "parent_b": None,
        "alpha": None,
        "warp": [],
        "normal": encode_image(normal),
    }


def _whole(host: Pixels, rendered: Rendered) -> Floats:
    """Return the normal image `host`, float RGB 0..255 [H, W, 3], with the rendered part in it."""
    image, box = host.astype(np.float32), rendered.box
    top, left = max(box.y, 0), max(box.x, 0)
    seen = image[top : max(box.y + box.height, 0), left : max(box.x + box.width, 0)]
    seen[...] = rendered.pixels[top - box.y :, left - box.x :][: seen.shape[0], : seen.shape[1]]
    return image
