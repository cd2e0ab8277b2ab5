"""Which mask belongs to which image."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from pipeline_tasks.layouts.contents import File
from pipeline_tasks.layouts.layout import IsBlack, Item
from pipeline_tasks.layouts.raw import RawReject, RawSample
from pipeline_tasks.layouts.reasons import Reason
from pipeline_tasks.schema import GOOD

MASK_ENDING = re.compile(r"[-_](masks?|gt|labels?|lab|seg|segmentation|ground_?truth)$", re.IGNORECASE)
"""What the name of a mask may have after that of its image."""


def pair(
    images: Sequence[File],
    masks: Iterable[File],
    defect: str,
    held_out: bool,
    key: Callable[[File], str] = lambda file: file.stem,
) -> Iterator[Item]:
    """Yield each of `images` with the mask of its `key`, with or without a MASK_ENDING, and rejects of the rest."""
    keys, of_image = {key(image) for image in images}, dict[str, File]()
    for mask in masks:
        own = key(mask) if key(mask) in keys else MASK_ENDING.sub("", key(mask))
        if (first := of_image.setdefault(own, mask)) is not mask:
            yield RawReject(mask.source_path, defect, Reason.SECOND_MASK, f"{first.source_path} is one already")
    for image in images:
        if found := of_image.pop(key(image), None):
            yield RawSample(image.source_path, defect, held_out, image.path, found.path)
        else:
            yield RawReject(image.source_path, defect, Reason.NO_MASK)
    yield from (RawReject(mask.source_path, defect, Reason.NO_IMAGE) for mask in of_image.values())


def normals(images: Iterable[File], held_out: bool) -> Iterator[RawSample]:
    """Yield `images` as normal ones."""
    return (RawSample(image.source_path, GOOD, held_out, image.path, None) for image in images)


def black_is_normal(items: Iterable[Item], is_black: IsBlack) -> Iterator[Item]:
    """Yield `items`, those whose mask marks nothing as normal images."""
    for item in items:
        if isinstance(item, RawSample) and item.mask and is_black(item.mask):
            yield replace(item, defect=GOOD)
        else:
            yield item


def apart(files: Sequence[File]) -> tuple[list[File], list[File]]:
    """Return the images and the masks of a folder that holds both.

    A mask is NAME_mask beside NAME (see MASK_ENDING), or the PNG of two files that differ in their suffix only.
    """
    suffixes: dict[str, set[str]] = {}
    for file in files:
        suffixes.setdefault(file.stem, set()).add(file.suffix)

    def is_mask(file: File) -> bool:
        if MASK_ENDING.sub("", file.stem) in suffixes.keys() - {file.stem}:
            return True
        if len(suffixes[file.stem]) > 1:
            return file.suffix == ".png"
        return bool(MASK_ENDING.search(file.stem))

    return [file for file in files if not is_mask(file)], [file for file in files if is_mask(file)]
