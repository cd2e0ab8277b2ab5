"""Ingest: raw files to canonical samples, base split from test split, nothing dropped without a reason."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import groupby

from pipeline_tasks.errors import DataError
from pipeline_tasks.images.codec import decode_image, decode_mask, encode_image, encode_mask, read_image, read_mask
from pipeline_tasks.images.counterpart import remove_defect
from pipeline_tasks.layouts.raw import RawReject, RawSample, reject
from pipeline_tasks.layouts.reasons import Reason
from pipeline_tasks.params import Ingest
from pipeline_tasks.schema import GOOD, Sample, SetAside

FileBytes = Callable[[RawSample], tuple[bytes, bytes | None]]
"""Reads a raw sample's image file and mask file; an OSError sets the sample aside."""


def run(
    params: Ingest, product: str, raw: Iterable[RawSample | RawReject], file_bytes: FileBytes
) -> Iterator[Sample | SetAside]:
    """Yield the samples of a product, grouped by split and defect, and a SetAside for every file that is none.

    Of each defect the lowest names are the base split: min(base_max, base_fraction of the images), at least one
    (METHODS section 5, `few-shot-10`). Where there are no normal images, counterparts of the base defects stand in.
    Raises DataError if no defect sample is left.
    """
    seen: dict[str, str] = {}
    normals = usable = 0
    base_defects: list[Sample] = []
    for defect, group in groupby(raw, key=lambda item: item.defect):
        rows = (_read(params, product, item, file_bytes, seen) for item in group)
        if defect == GOOD:
            for row in rows:
                normals += isinstance(row, Sample) and row.split == "base"
                yield row
            continue
        samples = []
        for row in rows:
            if isinstance(row, Sample):
                samples.append(row)
            else:
                yield row
        samples = _split(params, samples)
        base_defects += [s for s in samples if s.split == "base"]
        usable += len(samples)
        yield from samples
    if not usable:
        raise DataError(
            f"product '{product}': no usable defect image is left after setting bad files aside; "
            "the reasons are in the set-aside table, the folder layout is in README.md"
        )
    if not normals:
        yield from (_counterpart(sample) for sample in base_defects)


def _split(params: Ingest, samples: list[Sample]) -> list[Sample]:
    count = min(params.base_max, max(1, int(len(samples) * params.base_fraction + 1e-9)))
    return [replace(s, split="base" if i < count else "test") for i, s in enumerate(samples)]


def _read(
    params: Ingest, product: str, item: RawSample | RawReject, file_bytes: FileBytes, seen: dict[str, str]
) -> Sample | SetAside:
    outcome = item if isinstance(item, RawReject) else _sample(params, product, item, file_bytes, seen)
    if isinstance(outcome, RawReject):
        return SetAside(product, outcome.source_path, outcome.reason, outcome.detail)
    return outcome


def _sample(
    params: Ingest, product: str, item: RawSample, file_bytes: FileBytes, seen: dict[str, str]
) -> Sample | RawReject:
    try:
        data, mask_data = file_bytes(item)
        pixels = read_image(data, params.max_megapixels)
    except (DataError, OSError) as error:
        return reject(item.source_path, item.defect, Reason.UNREADABLE_IMAGE, str(error))
    digest = hashlib.sha256(data).hexdigest()
    first = seen.setdefault(digest, item.source_path)
    if first != item.source_path:
        return reject(item.source_path, item.defect, Reason.DUPLICATE, f"the same bytes as {first}")
    mask = None
    if mask_data is not None:
        try:
            mask = read_mask(mask_data, params.max_megapixels)
        except DataError as error:
            return reject(item.source_path, item.defect, Reason.UNREADABLE_MASK, str(error))
        if mask.shape != pixels.shape[:2]:
            sizes = f"image {_size(pixels.shape)}, mask {_size(mask.shape)}"
            return reject(item.source_path, item.defect, Reason.SIZE_MISMATCH, sizes)
        if not mask.any():
            return reject(item.source_path, item.defect, Reason.EMPTY_MASK)
    area = 0 if mask is None else int(mask.sum())
    return Sample(
        product=product,
        defect=item.defect,
        split="test" if item.held_out else "base",
        source_path=item.source_path,
        sha256=digest,
        source_bytes=len(data),
        width=pixels.shape[1],
        height=pixels.shape[0],
        mask_area_px=area,
        mask_area_fraction=area / (pixels.shape[0] * pixels.shape[1]),
        derived_from=None,
        image=encode_image(pixels),
        mask=None if mask is None else encode_mask(mask),
    )


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]} px"


def _counterpart(sample: Sample) -> Sample:
    assert sample.mask is not None  # noqa: S101 - defect samples have masks by construction
    pixels = remove_defect(decode_image(sample.image), decode_mask(sample.mask))
    return replace(
        sample,
        defect=GOOD,
        source_path=f"{sample.source_path}#defect_free",
        sha256=hashlib.sha256(pixels.tobytes()).hexdigest(),
        source_bytes=0,
        mask_area_px=0,
        mask_area_fraction=0.0,
        derived_from=sample.source_path,
        image=encode_image(pixels),
        mask=None,
    )
