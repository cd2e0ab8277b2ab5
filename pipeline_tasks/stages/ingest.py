"""Ingest: raw files to canonical samples, base split from test split, nothing dropped without a reason.

Files are read twice, one at a time: once to see what is usable and which are shots of one part, once to write it.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from pipeline_tasks.errors import DataError
from pipeline_tasks.images.codec import (
    Mask,
    Pixels,
    TooLargeError,
    decode_image,
    decode_mask,
    encode_image,
    encode_mask,
    image_digest,
    read_image,
    read_mask,
)
from pipeline_tasks.images.counterpart import remove_defect
from pipeline_tasks.images.near_duplicates import Thumbnail, group_shots, thumbnail
from pipeline_tasks.layouts.raw import RawReject, RawSample
from pipeline_tasks.layouts.reasons import REMEDY, Reason
from pipeline_tasks.params import Ingest
from pipeline_tasks.schema import GOOD, Sample, SetAside
from pipeline_tasks.splits.assignment import Found, assign
from pipeline_tasks.splits.guard import BASE
from pipeline_tasks.splits.membership import SPLITS, Member, NearDuplicates, near_duplicates

MOSTLY_MARKED = 0.5
ReadFile = Callable[[Path], bytes]
"""Reads a whole file; an OSError or a DataError sets the sample aside."""


@dataclass(frozen=True, slots=True)
class Usable:
    """A raw sample that can be used: all that the split needs of it, without its pixels."""

    raw: RawSample
    sha256: str
    mask_sha256: str
    marked: float
    """Share of the image that the mask marks."""
    size: tuple[int, int]
    """(width, height) in px."""
    thumbnail: Thumbnail


@dataclass(frozen=True, slots=True)
class Survey:
    """What became of each raw file of a product."""

    usable: list[Usable]
    set_aside: list[SetAside]
    masks: int
    """Mask files that images have, usable or not."""


@dataclass(frozen=True, slots=True)
class Division:
    """A product's samples divided into base and test; `sides`: the usable ones' splits, in order."""

    members: list[Member]
    sides: list[str]
    near_duplicates: NearDuplicates
    notes: list[str]
    """Sentences for a person on what is unusual."""

    @property
    def groups(self) -> dict[str, str]:
        """The group of near-duplicates of each sample that is in one, by source_path."""
        return {member.source_path: member.group for member in self.members if member.present and member.group}


@dataclass(frozen=True, slots=True)
class _Files:
    """The content of a raw sample's files."""

    sha256: str
    mask_sha256: str
    size: int
    pixels: Pixels
    mask: Mask | None


def survey(
    params: Ingest,
    product: str,
    raw: Iterable[RawSample | RawReject],
    read_file: ReadFile,
    withdrawn: Mapping[str, str],
) -> Survey:
    """Return the usable samples of a product, in the order of `raw`, and a SetAside for every file that is none.

    withdrawn: when, by whom and why, by the SHA-256 of the image file.
    """
    first: dict[str, int] = {}
    found, masks = Survey([], [], 0), set[Path]()
    for item in raw:
        outcome = _look(params, item, read_file, withdrawn) if isinstance(item, RawSample) else item
        if isinstance(item, RawSample) and item.mask:
            masks.add(item.mask)
        if isinstance(outcome, Usable):
            place = first.setdefault(outcome.sha256, len(found.usable))
            if place == len(found.usable):
                found.usable.append(outcome)
                continue
            same = found.usable[place]
            held_out = same.raw.held_out or outcome.raw.held_out
            found.usable[place] = replace(same, raw=replace(same.raw, held_out=held_out))
            what = f"the same bytes as {same.raw.source_path}"
            outcome = RawReject(item.source_path, item.defect, Reason.DUPLICATE, what)
        reason = outcome.reason
        found.set_aside.append(SetAside(product, outcome.source_path, reason, outcome.found, REMEDY[reason]))
    return replace(found, masks=len(masks))


def divide(
    params: Ingest, product: str, found: Survey, known: Sequence[Member], normals_only: bool = False
) -> Division:
    """Divide the usable samples into base and test; `known` is the product's stored membership, see `assign`.

    Raises DataError if no defect sample is usable; of a product that has `normals_only`, no normal one to learn from.
    """
    if not normals_only and all(sample.raw.defect == GOOD for sample in found.usable):
        raise _nothing(product, "defect image", found)
    shots = group_shots([s.thumbnail for s in found.usable], [s.size for s in found.usable])
    samples = [Found(s.raw.source_path, s.sha256, s.raw.defect, s.raw.held_out) for s in found.usable]
    assignment = assign(params, samples, shots.groups, known)
    split_of = {member.sha256: member.split for member in assignment.members}
    sides = [split_of[sample.sha256] for sample in found.usable]
    normals = [side for side, sample in zip(sides, found.usable, strict=True) if sample.raw.defect == GOOD]
    if normals_only and BASE not in normals:
        raise _nothing(product, "normal image to learn from", found)
    alike = [
        f"{len(group)} images look like shots of one part; they are too many for that, and are split one by one"
        for group in shots.alike
    ]
    notes = [*assignment.notes, *alike, *_inverted(found.usable)]
    return Division(assignment.members, sides, near_duplicates(assignment.members), notes)


def _inverted(usable: Sequence[Usable]) -> Iterator[str]:
    for defect in sorted({sample.raw.defect for sample in usable} - {GOOD}):
        share = median(sample.marked for sample in usable if sample.raw.defect == defect)
        if share > MOSTLY_MARKED:
            found = f"masks of '{defect}' mark most of the image ({share:.0%} in the median)"
            yield f"{found}; if they are inverted, make the defect white and the rest black"


def run(
    params: Ingest,
    product: str,
    found: Survey,
    sides: Sequence[str],
    groups: Mapping[str, str],
    read_file: ReadFile,
) -> Iterator[Sample]:
    """Yield the samples of a product, ordered by split and defect; `sides` are the splits of the usable ones.

    groups: of near-duplicates, by source_path.

    Where there are no normal images to learn from, counterparts of the base defects stand in. Raises DataError for a
    file that has changed since the survey.
    """
    placed = list(zip(found.usable, sides, strict=True))
    sample_of = partial(_sample, params, product, groups, read_file)
    for defect in dict.fromkeys(usable.raw.defect for usable in found.usable):
        for split in SPLITS:
            yield from (sample_of(s, split) for s, side in placed if (s.raw.defect, side) == (defect, split))
    if not any(s.raw.defect == GOOD and side == BASE for s, side in placed):
        base = [usable for usable, side in placed if side == BASE]
        yield from (_counterpart(sample_of(usable, BASE)) for usable in base)


def _nothing(product: str, wanted: str, found: Survey) -> DataError:
    reasons = Counter(row.reason for row in found.set_aside)
    counted = ", ".join(f"{count} x {reason}" for reason, count in reasons.most_common()) or "no file at all"
    return DataError(f"product '{product}': no usable {wanted}, set aside: {counted}; see the set-aside table")


def _look(params: Ingest, item: RawSample, read_file: ReadFile, withdrawn: Mapping[str, str]) -> Usable | RawReject:
    files = _read(params, item, read_file, withdrawn)
    if isinstance(files, RawReject):
        return files
    height, width = files.pixels.shape[:2]
    marked = 0.0 if files.mask is None else float(files.mask.mean())
    return Usable(item, files.sha256, files.mask_sha256, marked, (width, height), thumbnail(files.pixels))


def _read(params: Ingest, item: RawSample, read_file: ReadFile, withdrawn: Mapping[str, str]) -> _Files | RawReject:
    """Read a sample's files. A withdrawn one is not decoded, and its mask is not opened."""
    refuse = partial(RawReject, item.source_path, item.defect)
    try:
        data = read_file(item.image)
        if said := withdrawn.get(_digest(data)):
            return refuse(Reason.WITHDRAWN, said)
        pixels = read_image(data, params)
    except (DataError, OSError) as error:
        return refuse(_reason(error, Reason.UNREADABLE_IMAGE), _why(error))
    try:
        mask = read_mask(read_file(item.mask), params) if item.mask and item.defect != GOOD else None
    except (DataError, OSError) as error:
        return refuse(_reason(error, Reason.UNREADABLE_MASK), _why(error))
    if mask is not None and mask.shape != pixels.shape[:2]:
        return refuse(Reason.SIZE_MISMATCH, f"image {_size(pixels.shape)}, mask {_size(mask.shape)}")
    if mask is not None and not mask.any():
        return refuse(Reason.EMPTY_MASK)
    if mask is not None and mask.all():
        return refuse(Reason.FULL_MASK)
    return _Files(_digest(data), "" if mask is None else _digest(np.packbits(mask).tobytes()), len(data), pixels, mask)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _reason(error: Exception, otherwise: Reason) -> Reason:
    return Reason.TOO_LARGE if isinstance(error, TooLargeError) else otherwise


def _why(error: Exception) -> str:
    """Return an error's reason alone: an OSError's text names a path of this machine, which would enter the table."""
    return str(getattr(error, "strerror", None) or error)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]} px"


def _sample(
    params: Ingest, product: str, groups: Mapping[str, str], read_file: ReadFile, usable: Usable, split: str
) -> Sample:
    item, files = usable.raw, _read(params, usable.raw, read_file, {})
    if isinstance(files, RawReject) or (files.sha256, files.mask_sha256) != (usable.sha256, usable.mask_sha256):
        raise DataError(f"{item.image}: changed while product '{product}' was read; run ingest again")
    height, width = files.pixels.shape[:2]
    area = 0 if files.mask is None else int(files.mask.sum())
    x, y = (None, None) if files.mask is None else _centre(files.mask)
    return Sample(
        product=product,
        defect=item.defect,
        split=split,
        source_path=item.source_path,
        sha256=files.sha256,
        source_bytes=files.size,
        width=width,
        height=height,
        mask_area_px=area,
        mask_area_fraction=area / (height * width),
        mask_x=x,
        mask_y=y,
        derived_from=None,
        group=groups.get(item.source_path),
        image=encode_image(files.pixels),
        mask=None if files.mask is None else encode_mask(files.mask),
    )


def _centre(mask: Mask) -> tuple[float, float]:
    """Return the centre (x, y) of the mask's pixels as shares of its width and height."""
    rows, columns = np.nonzero(mask)
    return float(columns.mean() + 0.5) / mask.shape[1], float(rows.mean() + 0.5) / mask.shape[0]


def _counterpart(sample: Sample) -> Sample:
    pixels = remove_defect(decode_image(sample.image), decode_mask(sample.mask or b""))
    return replace(
        sample,
        defect=GOOD,
        source_path=f"{sample.source_path}#defect_free",
        sha256=image_digest(pixels),
        source_bytes=0,
        mask_area_px=0,
        mask_area_fraction=0.0,
        mask_x=None,
        mask_y=None,
        derived_from=sample.source_path,
        image=encode_image(pixels),
        mask=None,
    )
