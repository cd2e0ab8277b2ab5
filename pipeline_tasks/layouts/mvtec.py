"""MVTec-AD: train/good, test/good, test/<defect>, ground_truth/<defect>/<name>_mask.png.

The data set tests on all defects, so none is held out here: the protocol chooses those to learn from.
"""

from pathlib import Path

from pipeline_tasks.catalog import slug
from pipeline_tasks.errors import DataError
from pipeline_tasks.layouts.btad import LAYOUT as BTAD
from pipeline_tasks.layouts.contents import Contents, files_in, folders_in
from pipeline_tasks.layouts.layout import IsBlack, Item, Layout, Placed
from pipeline_tasks.layouts.pairing import normals, pair
from pipeline_tasks.schema import GOOD


def _matches(folder: Path) -> bool:
    if BTAD.matches(folder):
        return False
    tested = bool(folders_in(folder / "test")) and ((folder / "train").is_dir() or (folder / "ground_truth").is_dir())
    return tested or bool(files_in(folder / "train" / GOOD))


def _place(contents: Contents, _: IsBlack) -> Placed:
    items: list[Item] = []
    for defect, name in _defects(contents).items():
        items += pair(contents.take(f"test/{name}"), contents.take(f"ground_truth/{name}"), defect, held_out=False)
    for split in ("train", "test"):
        items += normals(contents.take(f"{split}/{GOOD}"), held_out=split == "test")
    return {"": items}


def _defects(contents: Contents) -> dict[str, str]:
    """Return the folder's name of each defect. Raises DataError if two share one name."""
    folders: dict[str, str] = {}
    for folder in contents.subfolders("test"):
        name = slug(folder)
        if folder != GOOD and name in {GOOD, *folders}:
            raise DataError(
                f"{contents.folder / 'test' / folder}: its name reads '{name}', which is another folder's; rename it"
            )
        folders[name] = folder
    return {name: folder for name, folder in folders.items() if name != GOOD}


LAYOUT = Layout(
    name="mvtec",
    expected="train/good/NAME.png, test/<defect>/NAME.png and ground_truth/<defect>/NAME_mask.png",
    matches=_matches,
    place=_place,
)
