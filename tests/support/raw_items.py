"""What a layout reads from a folder, in short form."""

from pathlib import Path

from settings import settings

from pipeline_tasks.layouts import LAYOUTS
from pipeline_tasks.layouts.raw import RawReject, RawSample

LIMITS = settings().ingest


def samples(layout: str, folder: Path, product: str = "plate") -> list[tuple[str, str, bool, str | None]]:
    """Return source_path, defect, held_out and the mask's path below `folder` of each sample, in order."""
    items = [item for item in LAYOUTS[layout].read(folder, product, LIMITS) if isinstance(item, RawSample)]
    masks = [item.mask and item.mask.relative_to(folder).as_posix() for item in items]
    return [(i.source_path, i.defect, i.held_out, mask) for i, mask in zip(items, masks, strict=True)]


def rejects(layout: str, folder: Path, product: str = "plate") -> dict[str, tuple[str, str]]:
    """Return reason and what was found of each reject, by path."""
    items = LAYOUTS[layout].read(folder, product, LIMITS)
    return {item.source_path: (item.reason, item.found) for item in items if isinstance(item, RawReject)}


def reasons(layout: str, folder: Path, product: str = "plate") -> dict[str, str]:
    """Return the reason of each reject, by path."""
    return {path: reason for path, (reason, _) in rejects(layout, folder, product).items()}
