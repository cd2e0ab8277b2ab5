"""Every table of the pipeline, as frozen dataclasses; their Arrow schemas carry each column's meaning and unit.

A column is annotated `Annotated[type, "meaning"]`; a `None` in the type makes it nullable. storage.py checks the schema
at every load and every save.
"""

from dataclasses import dataclass, fields
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pyarrow as pa

GOOD = "good"
"""The defect name of normal images (DefectDiffu section 3.2, MVTec-AD)."""

ATTENTION = "attention"
"""The kind of a mask that the generator made itself, of its attention to the defect's name (DefectDiffu Eq. 5-6)."""

MASK_KIND = (
    "how the mask was made: 'transformed' (one real mask, warped), 'image' or 'latent' (between two real masks, in "
    "image or latent space: DefectSynth section III-C) or 'perlin' (noise on the object: CAGen section 4)"
)
SOURCE = "product whose real defects the mask is made from; another than `product` in zero-shot (DefectDiffu Eq. 12)"

_ARROW = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(), bytes: pa.binary()}


@dataclass(frozen=True, slots=True)
class Sample:
    """One real image (or a defect-free counterpart derived from one) in canonical form."""

    product: Annotated[str, "product name"]
    defect: Annotated[str, "defect name; 'good' for normal images"]
    split: Annotated[str, "'base' (may be learned from) or 'test' (for the final report only)"]
    source_path: Annotated[str, "path of the image below the product's folder; identifies the sample in the product"]
    sha256: Annotated[str, "SHA-256 of the source image file, hex; of the derived pixels for counterparts"]
    source_bytes: Annotated[int, "size of the source image file in bytes"]
    width: Annotated[int, "image width in px"]
    height: Annotated[int, "image height in px"]
    mask_area_px: Annotated[int, "defect pixels in the mask; 0 for normal images"]
    mask_area_fraction: Annotated[float, "defect pixels / image pixels, 0..1"]
    mask_x: Annotated[float | None, "centre of the mask's pixels, share of the image's width; null for normal images"]
    mask_y: Annotated[float | None, "the same, share of the image's height"]
    derived_from: Annotated[str | None, "source_path of the defect image this counterpart was made from, else null"]
    group: Annotated[str | None, "lowest source_path among the shots of one part that this is one of, else null"]
    image: Annotated[bytes, "PNG, RGB uint8, height x width x 3"]
    mask: Annotated[bytes | None, "PNG, uint8 {0, 255}, height x width; null for normal images"]


IDENTITY = ("source_path", "sha256", "defect", "split", "group", "derived_from")
"""The columns of Sample by which a real sample is known where it was used: in lineage.json, in a detector's record."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """One file that ingest could not use. Nothing is dropped without a row here."""

    product: Annotated[str, "product name"]
    source_path: Annotated[str, "path of the file below the product's folder"]
    reason: Annotated[str, "reason from the closed list layouts.reasons.Reason"]
    found: Annotated[str, "what was found; empty where the reason says it all"]
    remedy: Annotated[str, "what to do about it"]


@dataclass(frozen=True, slots=True)
class MaskRow:
    """One defect mask placed on one normal image: what will be generated where (METHODS section 2)."""

    pair_index: Annotated[int, "index of the pair within its product and defect, from 0"]
    product: Annotated[str, "product name"]
    defect: Annotated[str, "defect name"]
    source: Annotated[str, SOURCE]
    seed: Annotated[int, "63-bit seed of the pair, derived from run seed, product, defect and index"]
    normal_path: Annotated[str, "source_path of the normal image that hosts the defect"]
    normal_sha256: Annotated[str, "sha256 of that normal image"]
    kind: Annotated[str, MASK_KIND]
    kind_reason: Annotated[str, "why this kind, e.g. 'mean area 0.80% < tau 5.30%'"]
    parent_a: Annotated[str, "source_path of the first parent sample; for perlin: a random one, for its appearance"]
    parent_b: Annotated[str, "source_path of the second parent sample; equals parent_a for transformed and perlin"]
    alpha: Annotated[float, "interpolation weight, 0 = parent_a, 1 = parent_b (DefectSynth section III-C)"]
    warp: Annotated[list[float], "2x3 affine, row-major, from parent_a's pixel (x, y) to the normal image's, in px"]
    placement: Annotated[float, "spread of the places: 0 = as seen in base masks, 1 = anywhere on the object (perlin)"]
    attempts: Annotated[int, "placements tried until this one was accepted, from 1"]
    mask_area_px: Annotated[int, "defect pixels"]
    mask: Annotated[bytes, "PNG, uint8 {0, 255}, size of the normal image"]


@dataclass(frozen=True, slots=True)
class Pair:
    """One generated image with its mask and everything needed to make it again (`defectline generate --only`)."""

    pair_id: Annotated[str, "product/defect/index, unique in a version"]
    pair_index: Annotated[int, "index within product and defect, from 0"]
    product: Annotated[str, "product name"]
    defect: Annotated[str, "defect name"]
    source: Annotated[str, "product whose real defects the generator learned it from; see MaskRow.source"]
    seed: Annotated[
        int,
        "63-bit seed the image was made from: mask_seed; on a later attempt derive_seed(mask_seed, 'attempt', "
        "attempts - 1) of seeds.py",
    ]
    mask_seed: Annotated[int, "63-bit seed of the pair's mask row, see MaskRow.seed"]
    attempts: Annotated[int, "times the image was made until it was honest enough, from 1"]
    backend: Annotated[str, "generator that made the image"]
    backend_digest: Annotated[str, "SHA-256 of the generator's weights and the settings that change pixels, hex"]
    code_revision: Annotated[
        str,
        "git tree id, 40 hex digits, of the folder pipeline_tasks/ that made the pair; a commit's is told by "
        "`git rev-parse COMMIT:pipeline_tasks`",
    ]
    run_id: Annotated[
        str, "SHA-256 of the code, the inputs and the parameters of the run that made the pair, hex (commands/work.py)"
    ]
    prompt: Annotated[str, "text prompt given to the generator"]
    normal_path: Annotated[str | None, "source_path of the normal image; null where the generator made that too"]
    normal_sha256: Annotated[str, "sha256 of the normal image; of its raw RGB pixels where it is generated"]
    normal_derived: Annotated[bool, "true if the normal image is a defect-free counterpart made from a defect image"]
    mask_kind: Annotated[str, f"{MASK_KIND}; '{ATTENTION}' where the generator made it (DefectDiffu Eq. 5-6)"]
    parent_a: Annotated[str | None, "source_path, in the source, of the mask's first parent; null for 'attention'"]
    parent_b: Annotated[str | None, "source_path, in the source, of the mask's second parent; null for 'attention'"]
    alpha: Annotated[float | None, "interpolation weight between the parents, 0..1; null for 'attention'"]
    warp: Annotated[
        list[float], "2x3 affine, row-major, from parent_a's pixels to the normal image's, in px; empty for 'attention'"
    ]
    width: Annotated[int, "image width in px"]
    height: Annotated[int, "image height in px"]
    mask_area_px: Annotated[int, "defect pixels"]
    mask_area_fraction: Annotated[float, "defect pixels / image pixels, 0..1"]
    mask_x: Annotated[float, "centre of the mask's pixels, share of the image's width"]
    mask_y: Annotated[float, "the same, share of the image's height"]
    reference: Annotated[
        str | None,
        "source_path, in the source, of the real defect whose features SAE compares the pair's with (DefectSynth "
        "Eq. 5-8); null without SAE",
    ]
    appearance_code: Annotated[
        list[float],
        "the inpainting generator's code of the defect's look as it was used: between the parents' by alpha, times "
        "generate.severity (METHODS section 3a); empty for other backends",
    ]
    fused_with: Annotated[list[int], "pair indices of the pairs whose features went into this one (DefectSynth Eq. 9)"]
    alignment: Annotated[float, "agreement of change and mask before the composite: 0 = by chance, 1 = perfect"]
    label_iou: Annotated[float, "IoU of the mask and what changed before the composite, 0..1 (images/honesty.py)"]
    spill: Annotated[float, "share of the visible change before the composite that lies outside the dilated mask, 0..1"]
    change_inside: Annotated[
        float, "mean inside the mask of the largest channel's change, before the composite, 0..255"
    ]
    change_outside_max: Annotated[int, "largest absolute change outside the dilated mask, grey levels; 0 = untouched"]
    product_scale: Annotated[float | None, "guidance towards the product, w_p (DefectDiffu Eq. 4); null for others"]
    defect_scale: Annotated[float | None, "guidance towards the defect, w_d (DefectDiffu Eq. 4); null for others"]
    agreement: Annotated[float | None, "IoU of the attention mask and the changed pixels, 0..1; null where not taken"]
    nearest_base: Annotated[str, "source_path, in the source, of the base defect that this one is most like"]
    nearest_similarity: Annotated[float, "how like: 1 = a copy, 0 = unrelated (images/similarity.py)"]
    phash: Annotated[
        str, "64-bit perceptual hash of the change, where it is and its shape: 16 hex digits (images/similarity.py)"
    ]
    image_sha256: Annotated[str, "SHA-256 of the raw RGB pixels, hex"]
    mask_sha256: Annotated[str, "SHA-256 of the mask's raw pixels, uint8 {0, 255}, hex"]
    row_sha256: Annotated[
        str, "seal: SHA-256 of all other columns but the pixels, whose own are among them, hex (provenance.py)"
    ]
    image: Annotated[bytes, "PNG, RGB uint8, height x width x 3"]
    mask: Annotated[bytes, "PNG, uint8 {0, 255}, height x width"]
    normal: Annotated[bytes | None, "PNG, RGB uint8, height x width x 3: the generated normal image; null if real"]


@dataclass(frozen=True, slots=True)
class StrengthTrial:
    """One mask row made at one strength of the defect; a trial's rows share all but the strength (DefectDiffu 3.3)."""

    product: Annotated[str, "product name"]
    defect: Annotated[str, "defect name"]
    source: Annotated[str, SOURCE]
    pair_index: Annotated[int, "index of the mask row within product and defect, from 0"]
    seed: Annotated[int, "63-bit seed of the mask row; the same at every strength"]
    product_scale: Annotated[float, "guidance towards the product, w_p (DefectDiffu Eq. 4)"]
    defect_scale: Annotated[float, "guidance towards the defect, w_d (DefectDiffu Eq. 4); 0 = the normal image"]
    changed_px: Annotated[int, "pixels of the part seen that differ visibly from the same at strength 0"]
    changed_fraction: Annotated[float, "changed_px / pixels of the part seen, 0..1"]
    mask_area_px: Annotated[int, "pixels of the mask"]
    agreement: Annotated[float, "IoU of the attention mask and the changed pixels, 0..1"]
    image: Annotated[bytes, "PNG, RGB uint8: the part of the image that the generator saw"]
    normal: Annotated[bytes, "PNG, RGB uint8: the same at strength 0"]
    attention: Annotated[bytes, "PNG, grey uint8: mean attention mask, 0..255 (DefectDiffu 3.4)"]
    mask: Annotated[bytes, "PNG, uint8 {0, 255}: what both the attention mask, thresholded, and the change mark"]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A pair none of whose attempts could be kept; its scores are the best attempt's. Nothing goes without a row."""

    pair_index: Annotated[int, "index within product and defect, from 0"]
    product: Annotated[str, "product name"]
    defect: Annotated[str, "defect name"]
    attempts: Annotated[int, "times the image was made"]
    reason: Annotated[str, "from the closed list backends.judgement.Failing, the first that applies"]
    alignment: Annotated[float, "agreement of change and mask, 0..1; see Pair"]
    label_iou: Annotated[float, "IoU of the mask and what changed, 0..1; see Pair"]
    spill: Annotated[float, "share of the visible change outside the dilated mask, 0..1; see Pair"]
    change_inside: Annotated[float, "mean change inside the mask, grey levels; NaN for a broken image; see Pair"]
    nearest_similarity: Annotated[float, "likeness to the nearest base defect; see Pair"]


STRENGTH = "strength"
"""Folder beside a defect's shards of pairs that holds the table of its trials, where its generator knows strengths."""
REJECTED = "rejected"
"""Folder beside a defect's shards of pairs with a table for each shard of what was rejected; it is written last."""
PIXEL_COLUMNS = frozenset({"image", "mask", "normal", "attention"})
"""Columns that hold encoded pixels: left out wherever only the manifest is read."""


@cache
def arrow_schema(row: type) -> pa.Schema:
    """Return the Arrow schema of a row dataclass; each field's metadata holds its meaning."""
    hints = get_type_hints(row, include_extras=True)
    return pa.schema([_arrow_field(f.name, hints[f.name]) for f in fields(row)], metadata={"table": row.__name__})


def _arrow_field(name: str, annotation: Any) -> pa.Field:
    kind, meaning = get_args(annotation)
    nullable = isinstance(kind, UnionType)
    if nullable:
        kind = next(k for k in get_args(kind) if k is not NoneType)
    arrow = pa.list_(_ARROW[get_args(kind)[0]]) if get_origin(kind) is list else _ARROW[kind]
    return pa.field(name, arrow, nullable=nullable, metadata={"meaning": meaning})
