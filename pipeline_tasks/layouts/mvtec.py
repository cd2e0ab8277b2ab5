"""The MVTec-AD layout: train/good, test/good, test/<defect>, ground_truth/<defect>/<name>_mask.png."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pipeline_tasks.catalog import slug
from pipeline_tasks.errors import DataError
from pipeline_tasks.layouts.raw import IMAGE_SUFFIXES, RawReject, RawSample, reject
from pipeline_tasks.layouts.reasons import Reason
from pipeline_tasks.schema import GOOD

NAME = "mvtec"
TOP = ("train", "test", "ground_truth")


def matches(folder: Path) -> bool:
    """Tell whether `folder` is one product in this layout."""
    tested = (folder / "test").is_dir() and ((folder / "train").is_dir() or (folder / "ground_truth").is_dir())
    return tested or _has_image(folder / "train" / GOOD)


def defects(folder: Path) -> list[str]:
    """Return the names of the defects that have at least one image and one mask file, sorted."""
    groups = _defect_folders(folder)
    return [d for d, images in groups.items() if _has_image(images) and _has_image(_masks_of(folder, images))]


def notes(folder: Path) -> list[str]:
    """Return a sentence for each defect folder that cannot be used."""
    usable = defects(folder)
    left_out = [images.name for defect, images in _defect_folders(folder).items() if defect not in usable]
    return [f"defect '{n}' is left out: it needs images in test/{n} and masks in ground_truth/{n}" for n in left_out]


def read(folder: Path) -> Iterator[RawSample | RawReject]:
    """Yield every file of the layout's folders, and every image elsewhere, as a sample, as its mask, or as a reject.

    Samples are grouped by defect. Defects come first, in order of name, then normal images, so that the defect image
    wins where two files are equal. Hidden files are passed over.
    """
    seen: set[str] = set()
    for item in _placed(folder):
        seen.add(item.source_path)
        if isinstance(item, RawSample) and item.mask:
            seen.add(_relative(folder, item.mask))
        yield item
    walked = {str(parent) for path in seen for parent in PurePosixPath(path).parents}
    for file in _files_below(folder):
        if (path := _relative(folder, file)) not in seen | walked:
            yield reject(path, "", Reason.MISPLACED if _inside(folder, file) else Reason.OUTSIDE)


def _placed(folder: Path) -> Iterator[RawSample | RawReject]:
    for defect, images in _defect_folders(folder).items():
        yield from _defect(folder, images, defect)
    for split in ("train", "test"):
        files, rejects = _sort_out(folder, folder / split / GOOD, GOOD)
        yield from (RawSample(_relative(folder, f), GOOD, split == "test", f, None) for f in files)
        yield from rejects


def _defect(folder: Path, images: Path, defect: str) -> Iterator[RawSample | RawReject]:
    files, rejects = _sort_out(folder, images, defect)
    mask_files, mask_rejects = _sort_out(folder, _masks_of(folder, images), defect)
    masks: dict[str, Path] = {}
    for mask in mask_files:
        if (first := masks.setdefault(mask.stem.removesuffix("_mask"), mask)) is not mask:
            rejects.append(reject(_relative(folder, mask), defect, Reason.SECOND_MASK, f"{first.name} is one already"))
    for file in files:
        source, of_file = _relative(folder, file), masks.pop(file.stem, None)
        yield RawSample(source, defect, False, file, of_file) if of_file else reject(source, defect, Reason.NO_MASK)
    yield from rejects + mask_rejects
    yield from (reject(_relative(folder, mask), defect, Reason.NO_IMAGE) for mask in masks.values())


def _sort_out(folder: Path, subfolder: Path, defect: str) -> tuple[list[Path], list[RawReject]]:
    """Return the image files of one subfolder, and the rejects of the others in it."""
    usable, rejects = [], []
    for file in _files(subfolder):
        if not _inside(folder, file):
            rejects.append(reject(_relative(folder, file), defect, Reason.OUTSIDE))
        elif file.suffix.lower() not in IMAGE_SUFFIXES:
            rejects.append(reject(_relative(folder, file), defect, Reason.NOT_AN_IMAGE))
        else:
            usable.append(file)
    return usable, rejects


def _defect_folders(folder: Path) -> dict[str, Path]:
    """Return the image folder of each defect, in order of name. Raises DataError if two share one name."""
    groups: dict[str, Path] = {}
    for images in _subfolders(folder / "test"):
        name = slug(images.name)
        if images.name != GOOD and name in {GOOD, *groups}:
            raise DataError(f"{images}: its name reads '{name}', which is another folder's; rename it")
        groups[name] = images
    return {name: groups[name] for name in sorted(groups) if name != GOOD}


def _masks_of(folder: Path, images: Path) -> Path:
    return folder / "ground_truth" / images.name


def _files_below(folder: Path) -> list[Path]:
    """Return what may be samples: files and links in the layout's folders, and images elsewhere; not hidden ones."""
    below = [(f, f.relative_to(folder).parts) for f in sorted(folder.rglob("*")) if f.is_file() or f.is_symlink()]
    shown = [(f, parts) for f, parts in below if not any(part.startswith(".") for part in parts)]
    return [f for f, parts in shown if parts[0] in TOP or f.suffix.lower() in IMAGE_SUFFIXES]


def _subfolders(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.is_dir() and not f.name.startswith(".")) if folder.is_dir() else []


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(f for f in folder.iterdir() if not f.name.startswith(".") and (f.is_file() or not f.exists()))


def _has_image(folder: Path) -> bool:
    return any(f.suffix.lower() in IMAGE_SUFFIXES for f in _files(folder))


def _relative(folder: Path, file: Path) -> str:
    """Return the path of `file` below `folder` as text; bytes that are no UTF-8 appear escaped."""
    return os.fsencode(file.relative_to(folder).as_posix()).decode(errors="backslashreplace")


def _inside(folder: Path, file: Path) -> bool:
    try:
        return file.resolve().is_relative_to(folder.resolve())
    except (RuntimeError, OSError):  # a link to itself
        return False
