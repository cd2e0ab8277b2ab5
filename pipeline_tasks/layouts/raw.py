"""What a layout reader returns: raw files, not yet decoded."""

from dataclasses import dataclass
from pathlib import Path

from pipeline_tasks.layouts.reasons import Reason

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})


@dataclass(frozen=True, slots=True)
class RawSample:
    """One image file and its mask file: a defect's, or a normal image's that marks nothing, where there is one.

    `source_path` is the image's below the product's folder.
    """

    source_path: str
    defect: str
    held_out: bool
    image: Path
    mask: Path | None


@dataclass(frozen=True, slots=True)
class RawReject:
    """One file, or one line of a list, that a reader could not place; `defect` names the group it was found in."""

    source_path: str
    defect: str
    reason: Reason
    found: str = ""
