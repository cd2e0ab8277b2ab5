"""A pair and the same pair made again: which columns differ, and whether the rounding of other hardware makes them."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.errors import DataError
from pipeline_tasks.images.codec import decode_image, decode_mask
from pipeline_tasks.schema import ATTENTION, Pair

TOLERANCE_LEVELS = 8
"""Largest difference of a pixel, grey levels of 255, that the rounding of other hardware may make."""
TOLERANCE_MEAN = 0.5
"""The same of the mean over an image."""
TOLERANCE_IOU = 0.99
"""Least IoU of two masks that it may make of the generator's attention."""
TOLERANCES = dict.fromkeys(("alignment", "label_iou", "spill", "agreement", "nearest_similarity"), 0.05) | {
    "change_inside": 2.0,
    "change_outside_max": float(TOLERANCE_LEVELS),
    "appearance_code": 1e-3,
}
"""Largest differences of what is measured of images."""
FREE = frozenset({"nearest_base", "code_revision"})
"""What may be another one: of two base defects that are as near; of later code that makes the same pair."""
OF_RUN = frozenset({"code_revision", "run_id", "row_sha256"})
"""The columns that tell of the run."""
COLUMNS = tuple(field.name for field in fields(Pair))
PIXELS = ("image", "mask", "normal")
FOLLOWING: Mapping[str, Set[str]] = {
    "image_sha256": {"image"},
    "phash": {"image", "normal"},
    "normal_sha256": {"normal"},
    **{name: {"mask"} for name in ("mask_sha256", "mask_area_px", "mask_area_fraction", "mask_x", "mask_y")},
    "run_id": {"code_revision"},
    "row_sha256": {*COLUMNS} - {"row_sha256"},
}
"""Columns that follow from others: they may differ if one of those does."""


@dataclass(frozen=True)
class Likeness:
    """How a pair that was made again is like the one before; columns in the order of schema.Pair.

    beyond: the columns that no rounding makes differ, with what follows from them. rounded: those that it may. later:
    whether later code made it. encoded: whether a PNG has other bytes for the same pixels. mean, most: how far the
    images differ, grey levels.
    """

    beyond: list[str]
    rounded: list[str]
    later: bool
    encoded: bool
    mean: float
    most: float


def likeness(then: Pair, now: Pair) -> Likeness:
    """Compare two pairs, pixels by what they show."""
    pixels = {name: (_pixels(then, name), _pixels(now, name)) for name in PIXELS}
    other = {name for name in COLUMNS if getattr(then, name) != getattr(now, name)}
    same = {name for name in other.intersection(PIXELS) if _equal(*pixels[name])}
    differing = other - same
    causes = {n for n in differing - FOLLOWING.keys() if not (n in FREE or _within(n, then, now, pixels))}
    causes |= {n for n in differing & FOLLOWING.keys() if not FOLLOWING[n] & differing}
    beyond = causes | {n for n in differing & FOLLOWING.keys() if FOLLOWING[n] & causes}
    mean, most = _change(*pixels["image"])
    return Likeness(
        [name for name in COLUMNS if name in beyond],
        [name for name in COLUMNS if name in differing - beyond - OF_RUN],
        "code_revision" in differing,
        bool(same),
        mean,
        most,
    )


def _pixels(pair: Pair, name: str) -> NDArray[Any] | None:
    """Return the pixels in a column; None where there are none, or none that can be decoded."""
    png = getattr(pair, name)
    try:
        return None if png is None else decode_mask(png) if name == "mask" else decode_image(png)
    except DataError:
        return None


def _equal(then: NDArray[Any] | None, now: NDArray[Any] | None) -> bool:
    return then is not None and now is not None and np.array_equal(then, now)


def _within(name: str, then: Pair, now: Pair, pixels: Mapping[str, tuple[NDArray[Any] | None, ...]]) -> bool:
    """Tell whether a column differs by no more than rounding."""
    if name in TOLERANCES:
        return _near(getattr(then, name), getattr(now, name), TOLERANCES[name])
    if name == "mask":
        return then.mask_kind == ATTENTION and _iou(*pixels[name]) >= TOLERANCE_IOU
    if name in PIXELS:
        mean, most = _change(*pixels[name])
        return mean <= TOLERANCE_MEAN and most <= TOLERANCE_LEVELS
    return False


def _near(then: Any, now: Any, tolerance: float) -> bool:
    if then is None or now is None or np.shape(then) != np.shape(now):
        return False
    return bool(np.abs(np.subtract(then, now)).max(initial=0) <= tolerance + 1e-9)


def _change(then: NDArray[Any] | None, now: NDArray[Any] | None) -> tuple[float, float]:
    """Return the mean and the largest difference of two images in grey levels; infinite where they cannot be laid over
    each other.
    """
    if then is None or now is None or then.shape != now.shape:
        return float("inf"), float("inf")
    change = np.abs(then.astype(np.int16) - now)
    return float(change.mean()), float(change.max())


def _iou(then: NDArray[Any] | None, now: NDArray[Any] | None) -> float:
    if then is None or now is None or then.shape != now.shape:
        return 0.0
    return float((then & now).sum() / max((then | now).sum(), 1))
