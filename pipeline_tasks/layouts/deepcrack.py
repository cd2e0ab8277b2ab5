"""DeepCrack: train_img and test_img, with masks of the same stem in train_lab and test_lab. There are no normal images.

The cracks of test_img are held out.
"""

from pathlib import Path

from pipeline_tasks.layouts.contents import Contents
from pipeline_tasks.layouts.layout import IsBlack, Layout, Placed
from pipeline_tasks.layouts.pairing import pair

CRACK = "crack"
SPLITS = ("train", "test")


def _matches(folder: Path) -> bool:
    return any((folder / f"{split}_img").is_dir() and (folder / f"{split}_lab").is_dir() for split in SPLITS)


def _place(contents: Contents, _: IsBlack) -> Placed:
    return {
        "": [
            item
            for split in SPLITS
            for item in pair(contents.take(f"{split}_img"), contents.take(f"{split}_lab"), CRACK, split == "test")
        ]
    }


LAYOUT = Layout(
    name="deepcrack",
    expected="train_img/NAME.jpg with train_lab/NAME.png, test_img/NAME.jpg with test_lab/NAME.png",
    matches=_matches,
    place=_place,
)
