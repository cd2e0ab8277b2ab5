"""What a layout reader returns: raw files, not yet decoded."""

from dataclasses import dataclass
from pathlib import Path

from pipeline_tasks.layouts.reasons import REMEDY, Reason

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})


@dataclass(frozen=True, slots=True)
class RawSample:
    """One image file and, for a defect, its mask file; `source_path` is the image's below the product's folder."""

    source_path: str
    defect: str
    held_out: bool
    image: Path
    mask: Path | None


@dataclass(frozen=True, slots=True)
class RawReject:
    """One file that a reader could not place."""

    source_path: str
    defect: str
    reason: Reason
    detail: str


def reject(source_path: str, defect: str, reason: Reason, found: str = "") -> RawReject:
    """Return a reject whose detail says what was found and what to do; `defect` names the folder's group."""
    return RawReject(source_path, defect, reason, f"{found}; {REMEDY[reason]}" if found else REMEDY[reason])
