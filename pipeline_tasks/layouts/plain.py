"""Images with masks of the same stem: two folders side by side, or one that holds both.

A black mask makes a normal image; further normal images may lie in a folder good. Where there are folders train and
test, each may be so; what is in test is held out.
"""

from collections.abc import Callable, Iterable, Sequence, Set
from functools import partial
from pathlib import Path

from pipeline_tasks.layouts.contents import Contents, File, files_in, folders_in
from pipeline_tasks.layouts.kolektor_sdd2 import LAYOUT as KOLEKTOR_SDD2
from pipeline_tasks.layouts.layout import DEFECT, NORMAL_NAMES, IsBlack, Item, Layout, Placed
from pipeline_tasks.layouts.pairing import apart, black_is_normal, normals, pair
from pipeline_tasks.layouts.raw import RawSample

IMAGES = frozenset({"image", "images", "img", "imgs"})
MASKS = frozenset(
    {"annotation", "annotations", "ground_truth", "groundtruth", "gt", "lab", "label", "labels", "mask", "masks"}
    | {"segmentation", "segmentations"}
)
PARTS = ("", "train", "test")


def _matches(folder: Path) -> bool:
    return not KOLEKTOR_SDD2.matches(folder) and any(_has_pairs(folder / part) for part in PARTS)


def _has_pairs(folder: Path) -> bool:
    found = _images_and_masks(folders_in(folder), lambda name: files_in(folder / name))
    return any(isinstance(item, RawSample) for item in pair(*found, DEFECT, held_out=False))


def _place(contents: Contents, is_black: IsBlack) -> Placed:
    items: list[Item] = []
    for part in PARTS:
        held_out, names = part == "test", contents.subfolders(part)
        take = partial(_take, contents, part)
        items += black_is_normal(pair(*_images_and_masks(names, take), DEFECT, held_out), is_black)
        for name in _called(names, NORMAL_NAMES):
            items += normals(take(name), held_out)
    return {"": items}


def _images_and_masks(names: Sequence[str], files: Callable[[str], list[File]]) -> tuple[list[File], list[File]]:
    """Return what to pair, of the `files` right in a folder ('') and in its subfolders `names`.

    The first subfolder of each kind that holds images counts: annotations/ may hold XML beside masks/.
    """
    images, masks = _called(names, IMAGES), _called(names, MASKS)
    if not (images and masks):
        return apart(files(""))
    return _first_with_images(map(files, images)), _first_with_images(map(files, masks))


def _first_with_images(folders: Iterable[list[File]]) -> list[File]:
    return next(filter(None, folders), [])


def _take(contents: Contents, part: str, name: str) -> list[File]:
    return contents.take("/".join(filter(None, (part, name))))


def _called(names: Iterable[str], known: Set[str]) -> list[str]:
    return [name for name in names if name.lower() in known]


LAYOUT = Layout(
    name="plain",
    expected="images/NAME.jpg with masks/NAME.png, or NAME.jpg with NAME.png or NAME_mask.png in one folder",
    matches=_matches,
    place=_place,
)
