"""KolektorSDD2: train/ and test/ with NAME.png and NAME_GT.png side by side.

A normal image has a mask too, a black one. What is in test/ is held out. The pickled splits beside are never loaded.
"""

from pathlib import Path

from pipeline_tasks.layouts.contents import Contents, files_in
from pipeline_tasks.layouts.layout import DEFECT, IsBlack, Layout, Placed
from pipeline_tasks.layouts.pairing import apart, black_is_normal, pair

SPLITS = ("train", "test")


def _matches(folder: Path) -> bool:
    return any(file.stem.upper().endswith("_GT") for split in SPLITS for file in files_in(folder / split))


def _place(contents: Contents, is_black: IsBlack) -> Placed:
    pairs = [item for split in SPLITS for item in pair(*apart(contents.take(split)), DEFECT, held_out=split == "test")]
    return {"": [*black_is_normal(pairs, is_black)]}


LAYOUT = Layout(
    name="kolektor_sdd2",
    expected="train/NAME.png with train/NAME_GT.png, test/NAME.png with test/NAME_GT.png",
    matches=_matches,
    place=_place,
)
