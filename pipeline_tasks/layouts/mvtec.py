"""The MVTec-AD layout: train/good, test/good, test/<defect>, ground_truth/<defect>/<name>_mask.png."""

from collections.abc import Iterator
from pathlib import Path

from pipeline_tasks.catalog import slug
from pipeline_tasks.errors import DataError
from pipeline_tasks.layouts.raw import IMAGE_SUFFIXES, RawReject, RawSample, reject
from pipeline_tasks.layouts.reasons import Reason
from pipeline_tasks.schema import GOOD

NAME = "mvtec"


def matches(folder: Path) -> bool:
    """Tell whether `folder` is one product in this layout."""
    return (folder / "test").is_dir() and ((folder / "train").is_dir() or (folder / "ground_truth").is_dir())


def defects(folder: Path) -> list[str]:
    """Return the names of the defects that have at least one image and one mask file, sorted."""
    usable = [f for f in _subfolders(folder / "test") if f.name != GOOD and _has_image(f)]
    names = sorted(slug(f.name) for f in usable if _has_image(folder / "ground_truth" / f.name))
    if twice := {name for name in names if names.count(name) > 1}:
        raise DataError(f"{folder}/test: two folders make the same defect name {sorted(twice)}; rename one of them")
    return names


def notes(folder: Path) -> list[str]:
    """Return a sentence for each defect folder that cannot be used."""
    left_out = [f.name for f in _subfolders(folder / "test") if f.name != GOOD and slug(f.name) not in defects(folder)]
    return [f"defect '{name}' is left out: no mask in ground_truth/{name}" for name in left_out]


def read(folder: Path) -> Iterator[RawSample | RawReject]:
    """Yield every file below `folder` as a sample or a reject, grouped by defect: none is left out.

    Defects come first, in order of name, then normal images, so that the defect image wins where two files are equal.
    """
    groups = {slug(f.name): f for f in _subfolders(folder / "test") if f.name != GOOD}
    for defect in sorted(groups):
        yield from _defect(folder, groups[defect], defect)
    for split in ("train", "test"):
        yield from _files_of(folder, folder / split / GOOD, GOOD, held_out=split == "test")
    yield from _strays(folder)


def _defect(folder: Path, images: Path, defect: str) -> Iterator[RawSample | RawReject]:
    masks = {f.stem.removesuffix("_mask"): f for f in _files(folder / "ground_truth" / images.name)}
    for item in _files_of(folder, images, defect, held_out=False):
        if isinstance(item, RawReject):
            yield item
            continue
        mask = masks.pop(item.image.stem, None)
        if mask is None:
            yield reject(item.source_path, defect, Reason.NO_MASK)
        elif not _inside(folder, mask):
            yield reject(item.source_path, defect, Reason.OUTSIDE, f"its mask {mask.name} links elsewhere")
        else:
            yield RawSample(item.source_path, defect, False, item.image, mask)
    yield from (reject(_relative(folder, mask), defect, Reason.NO_IMAGE) for mask in masks.values())


def _files_of(folder: Path, images: Path, defect: str, *, held_out: bool) -> Iterator[RawSample | RawReject]:
    for file in _files(images):
        source = _relative(folder, file)
        if file.suffix.lower() not in IMAGE_SUFFIXES:
            yield reject(source, defect, Reason.NOT_AN_IMAGE)
        elif not _inside(folder, file):
            yield reject(source, defect, Reason.OUTSIDE, "a link to another place")
        else:
            yield RawSample(source, defect, held_out, file, None)


def _strays(folder: Path) -> Iterator[RawReject]:
    known = {("train", GOOD), ("test", GOOD)} | {("test", f.name) for f in _subfolders(folder / "test")}
    known |= {("ground_truth", f.name) for f in _subfolders(folder / "test") if f.name != GOOD}
    for top in ("train", "test", "ground_truth"):
        for sub in _subfolders(folder / top):
            if (top, sub.name) not in known:
                yield from (reject(_relative(folder, file), sub.name, Reason.UNKNOWN_FOLDER) for file in _files(sub))


def _subfolders(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.is_dir() and not f.name.startswith(".")) if folder.is_dir() else []


def _files(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.is_file() and not f.name.startswith(".")) if folder.is_dir() else []


def _has_image(folder: Path) -> bool:
    return any(f.suffix.lower() in IMAGE_SUFFIXES for f in _files(folder))


def _relative(folder: Path, file: Path) -> str:
    return file.relative_to(folder).as_posix()


def _inside(folder: Path, file: Path) -> bool:
    return file.resolve().is_relative_to(folder.resolve())
