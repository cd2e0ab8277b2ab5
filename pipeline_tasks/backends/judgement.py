"""What a made pair scores, and why it cannot be kept (METHODS sections 4 and 5)."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from pipeline_tasks.backends.protocol import Rendered, Request
from pipeline_tasks.images.boxes import crop, inside
from pipeline_tasks.images.codec import decode_image, decode_mask
from pipeline_tasks.images.composite import dilate
from pipeline_tasks.images.honesty import alignment, change_between, label_iou, spill
from pipeline_tasks.images.similarity import KnownDefects, structure
from pipeline_tasks.params import Keep
from pipeline_tasks.schema import Sample

KEEP_ALL = Keep(min_alignment=0, min_label_iou=0, min_change_inside=0, max_spill=1, max_similarity=1)
"""Judges nothing but broken images and empty masks."""


class Failing(StrEnum):
    """Why a pair cannot be kept, the gravest first: what is no defect at all needs no further judgement."""

    BROKEN = "image with invalid values"
    EMPTY = "empty mask"
    FAINT = "defect not visible"
    LABEL = "label does not match the change"
    SPILL = "change beyond the mask"
    COPY = "copy of a base defect"


@dataclass(frozen=True, slots=True)
class Scores:
    """What is told of a pair before its composite, which would hide what spilt; schema.Pair says what each means."""

    mask_area_px: int
    alignment: float
    label_iou: float
    spill: float
    change_inside: float
    nearest_base: str
    nearest_similarity: float


def known_defects(samples: Iterable[Sample]) -> KnownDefects:
    """Return the base defects among `samples`, of one defect, that a pair of it must not copy, read one at a time."""
    return KnownDefects(
        (sample.source_path, structure(decode_image(sample.image), decode_mask(sample.mask)))
        for sample in samples
        if sample.mask is not None
    )


def score(request: Request, rendered: Rendered, dilation_px: int, known: KnownDefects) -> Scores:
    """Return the scores of what a backend made of a request, in the part of the image that it saw.

    What holds NaN or infinity, as half precision may end in, has a change_inside of NaN and nothing else to tell.
    """
    mask, box = rendered.label(request), rendered.box
    if not (np.isfinite(rendered.pixels).all() and np.isfinite(rendered.unchanged).all()):
        return Scores(int(mask.sum()), 0.0, 0.0, 0.0, math.nan, "", 0.0)
    marked, near = inside(mask, box), inside(dilate(mask, dilation_px), box)
    change = change_between(rendered.pixels, rendered.unchanged)
    painted = np.clip(np.rint(rendered.pixels), 0, 255).astype(np.uint8)
    host = np.asarray(crop(rendered.host(request), box), np.uint8)
    moved = np.abs(painted[marked].astype(np.int16) - host[marked]).max(axis=1)
    return Scores(
        int(mask.sum()),
        alignment(change, marked),
        label_iou(change, marked),
        spill(change, near),
        float(moved.sum() / max(int(mask.sum()), 1)),
        *known.nearest(structure(painted, marked)),
    )


def judge(scores: Scores, keep: Keep) -> Failing | None:
    """Return the first reason why a pair with such scores cannot be kept; None if it can."""
    agrees = scores.alignment >= keep.min_alignment and scores.label_iou >= keep.min_label_iou
    failing = {
        Failing.BROKEN: math.isnan(scores.change_inside),
        Failing.EMPTY: scores.mask_area_px == 0,
        Failing.FAINT: scores.change_inside < keep.min_change_inside,
        Failing.LABEL: not agrees,
        Failing.SPILL: scores.spill > keep.max_spill,
        Failing.COPY: scores.nearest_similarity > keep.max_similarity,
    }
    return next((reason for reason in Failing if failing[reason]), None)
