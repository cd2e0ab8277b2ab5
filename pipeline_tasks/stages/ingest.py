"""Ingest: raw files to canonical samples, base split from test split, nothing dropped without a reason."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path

from pipeline_tasks.errors import DataError
from pipeline_tasks.images.codec import (
    Mask,
    Pixels,
    decode_image,
    decode_mask,
    encode_image,
    encode_mask,
    read_image,
    read_mask,
)
from pipeline_tasks.images.counterpart import remove_defect
from pipeline_tasks.images.near_duplicates import fingerprint, group_shots
from pipeline_tasks.layouts.raw import RawReject, RawSample, reject
from pipeline_tasks.layouts.reasons import Reason
from pipeline_tasks.params import Ingest
from pipeline_tasks.schema import GOOD, Sample, SetAside

ReadFile = Callable[[Path], bytes]
"""Reads a whole file; an OSError sets the sample aside."""


def run(
    params: Ingest,
    product: str,
    raw: Iterable[RawSample | RawReject],
    read_file: ReadFile,
    normals_only: bool = False,
) -> Iterator[Sample | SetAside]:
    """Yield the samples of a product, grouped by split and defect, and a SetAside for every file that is none.

    `raw` is grouped by defect. Where there are no normal images to learn from, counterparts of the base defects stand
    in. Raises DataError if no defect sample is left; of a product that has `normals_only`, no normal one to learn from.
    """
    base_defects: list[Sample] = []
    usable, reasons, normals = 0, Counter[str](), 0
    canonical = partial(_canonical, params, product, read_file, {})
    for defect, group in groupby(raw, key=lambda item: item.defect):
        for row in map(canonical, group) if defect == GOOD else _split(params, map(canonical, group)):
            if isinstance(row, SetAside):
                reasons[row.reason] += 1
            elif defect == GOOD:
                normals += row.split == "base"
            else:
                usable += 1
                if row.split == "base":
                    base_defects.append(row)
            yield row
    if not (normals if normals_only else usable):
        found = ", ".join(f"{count} x {reason}" for reason, count in reasons.most_common()) or "no file at all"
        wanted = "normal image in train/good" if normals_only else "defect image"
        raise DataError(f"product '{product}': no usable {wanted}, set aside: {found}; see the set-aside table")
    if not normals:
        yield from map(_counterpart, base_defects)


def _split(params: Ingest, rows: Iterable[Sample | SetAside]) -> Iterator[Sample | SetAside]:
    """Yield one defect's samples with their split: the lowest names are base, the others test.

    Base are at most min(base_max, base_fraction of the samples), at least one (METHODS section 5, `few-shot-10`).
    """
    samples: list[Sample] = []
    for row in rows:
        if isinstance(row, Sample):
            samples.append(row)
        else:
            yield row
    base = _base_of(params, samples)
    yield from (replace(sample, split="base") for sample in samples if sample.source_path in base)
    yield from (replace(sample, split="test") for sample in samples if sample.source_path not in base)


def _base_of(params: Ingest, samples: list[Sample]) -> set[str]:
    """Return the source_paths of the base split: lowest names first, shots of one part whole or not at all.

    Where all fitting groups are too large (parts that look the same), the lowest names are taken one by one.
    """
    count = min(params.base_max, max(1, int(len(samples) * params.base_fraction + 1e-9)))
    names = [sample.source_path for sample in samples]
    shots = group_shots([fingerprint(decode_image(s.image)) for s in samples], [(s.width, s.height) for s in samples])
    base: set[str] = set()
    for group in dict.fromkeys(shots):
        members = {name for name, shot in zip(names, shots, strict=True) if shot == group}
        if len(base) + len(members) <= count:
            base |= members
    return base or set(names[:count])


def _canonical(
    params: Ingest, product: str, read_file: ReadFile, first: dict[str, str], item: RawSample | RawReject
) -> Sample | SetAside:
    """Return what becomes of one raw file; `first` collects the source_path of each SHA-256 that became a sample."""
    outcome = _sample(params, product, read_file, item) if isinstance(item, RawSample) else item
    if isinstance(outcome, Sample):
        earlier = first.setdefault(outcome.sha256, item.source_path)
        if earlier == item.source_path:
            return outcome
        outcome = reject(item.source_path, item.defect, Reason.DUPLICATE, f"the same bytes as {earlier}")
    return SetAside(product, outcome.source_path, outcome.reason, outcome.detail)


def _sample(params: Ingest, product: str, read_file: ReadFile, item: RawSample) -> Sample | RawReject:
    refuse = partial(reject, item.source_path, item.defect)
    try:
        data = read_file(item.image)
        pixels = read_image(data, params.max_megapixels)
    except (DataError, OSError) as error:
        return refuse(Reason.UNREADABLE_IMAGE, _why(error))
    try:
        mask = read_mask(read_file(item.mask), params.max_megapixels) if item.mask else None
    except (DataError, OSError) as error:
        return refuse(Reason.UNREADABLE_MASK, _why(error))
    if mask is not None and mask.shape != pixels.shape[:2]:
        return refuse(Reason.SIZE_MISMATCH, f"image {_size(pixels.shape)}, mask {_size(mask.shape)}")
    if mask is not None and not mask.any():
        return refuse(Reason.EMPTY_MASK)
    return _encoded(product, item, data, pixels, mask)


def _why(error: Exception) -> str:
    """Return an error's reason alone: an OSError's text names a path of this machine, which would enter the table."""
    return str(getattr(error, "strerror", None) or error)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]} px"


def _encoded(product: str, item: RawSample, data: bytes, pixels: Pixels, mask: Mask | None) -> Sample:
    height, width = pixels.shape[:2]
    area = 0 if mask is None else int(mask.sum())
    return Sample(
        product=product,
        defect=item.defect,
        split="test" if item.held_out else "base",
        source_path=item.source_path,
        sha256=hashlib.sha256(data).hexdigest(),
        source_bytes=len(data),
        width=width,
        height=height,
        mask_area_px=area,
        mask_area_fraction=area / (height * width),
        derived_from=None,
        image=encode_image(pixels),
        mask=None if mask is None else encode_mask(mask),
    )


def _counterpart(sample: Sample) -> Sample:
    pixels = remove_defect(decode_image(sample.image), decode_mask(sample.mask or b""))
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
