"""BTAD: train/ok, test/ok, test/ko, and ground_truth/ko with masks of the same stem (.png or .bmp).

The data set tests on all defects, so none is held out here: the protocol chooses those to learn from.
"""

from pathlib import Path

from pipeline_tasks.layouts.contents import Contents
from pipeline_tasks.layouts.layout import DEFECT, IsBlack, Layout, Placed
from pipeline_tasks.layouts.pairing import normals, pair


def _matches(folder: Path) -> bool:
    good = (folder / "train" / "ok").is_dir() or (folder / "test" / "ok").is_dir()
    return good and (folder / "test" / "ko").is_dir()


def _place(contents: Contents, _: IsBlack) -> Placed:
    defects = pair(contents.take("test/ko"), contents.take("ground_truth/ko"), DEFECT, held_out=False)
    good = normals(contents.take("train/ok"), held_out=False), normals(contents.take("test/ok"), held_out=True)
    return {"": [*defects, *good[0], *good[1]]}


LAYOUT = Layout(
    name="btad",
    expected="train/ok/NAME.png, test/ko/NAME.png and ground_truth/ko/NAME.png",
    matches=_matches,
    place=_place,
)
