"""GDXray's welds: series W0001 are radiographs, W0002 their masks, paired by the number in the file's name.

The other series have no masks.
"""

from pathlib import Path

from pipeline_tasks.layouts.contents import Contents, File, folders_in
from pipeline_tasks.layouts.layout import DEFECT, IsBlack, Item, Layout, Placed
from pipeline_tasks.layouts.pairing import pair
from pipeline_tasks.layouts.raw import RawReject
from pipeline_tasks.layouts.reasons import Reason

IMAGES, MASKS = "w0001", "w0002"


def _matches(folder: Path) -> bool:
    return {IMAGES, MASKS} <= {name.lower() for name in folders_in(folder)}


def _place(contents: Contents, _: IsBlack) -> Placed:
    images: list[File] = []
    masks: list[File] = []
    others: list[Item] = []
    for series in contents.subfolders():
        files = contents.take(series)
        if series.lower() == IMAGES:
            images += files
        elif series.lower() == MASKS:
            masks += files
        else:
            without = f"series {series} has no masks"
            others += (RawReject(file.source_path, DEFECT, Reason.NO_MASK, without) for file in files)
    return {"": [*pair(images, masks, DEFECT, held_out=False, key=_number), *others]}


def _number(file: File) -> str:
    return file.stem.rpartition("_")[2]


LAYOUT = Layout(
    name="gdxray",
    expected="W0001/W0001_NUMBER.png with W0002/W0002_NUMBER.png",
    matches=_matches,
    place=_place,
)
