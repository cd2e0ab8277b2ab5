"""VisA: several products in one folder and, in split_csv/, the lists that name what is trained and tested on.

Of the lists the first of LISTS counts. 1cls.csv trains on normal images alone and so tests on all defects: then none
is held out, the protocol chooses those to learn from. A product's own folder can be read alone; it names no split.
"""

from collections.abc import Iterator
from pathlib import Path

from pipeline_tasks.errors import DataError
from pipeline_tasks.layouts.contents import Contents, is_file_inside
from pipeline_tasks.layouts.layout import DEFECT, IsBlack, Layout, Placed
from pipeline_tasks.layouts.lines import STRAY, Line, place_lines
from pipeline_tasks.layouts.pairing import normals, pair
from pipeline_tasks.layouts.tables import Row, columns, rows
from pipeline_tasks.schema import GOOD

LISTS = ("1cls.csv", "2cls_highshot.csv", "2cls_fewshot.csv")
COLUMNS = ("object", "split", "label", "image", "mask")
ANNOTATIONS = "image_anno.csv"


def _matches(folder: Path) -> bool:
    return (folder / "Data" / "Images" / "Anomaly").is_dir() or _the_list(folder) is not None


def _place(contents: Contents, is_black: IsBlack) -> Placed:
    for product in contents.subfolders():
        contents.pass_over(f"{product}/{ANNOTATIONS}")
    table = _the_list(contents.folder)
    if table is None:
        return _place_one(contents)
    if missing := set(COLUMNS) - set(columns(table)):
        raise DataError(f"{table}: lacks the columns {', '.join(sorted(missing))}; download it again")
    for name in LISTS:
        contents.pass_over(f"{table.parent.name}/{name}")
    return place_lines(contents, f"{table.parent.name}/{table.name}", _lines(list(rows(table, COLUMNS))), is_black)


def _place_one(contents: Contents) -> Placed:
    images, masks = contents.take("Data/Images/Anomaly"), contents.take("Data/Masks/Anomaly")
    good = normals(contents.take("Data/Images/Normal"), held_out=False)
    return {"": [*pair(images, masks, DEFECT, held_out=False), *good]}


def _lines(table: list[Row]) -> Iterator[Line]:
    trained = {(r.values.get("object"), r.values.get("label")) for r in table if r.values.get("split") == "train"}
    for row in table:
        product, split, label, image, mask = (row.values.get(name, "") for name in COLUMNS)
        defect = GOOD if label == "normal" else DEFECT if label else ""
        if defect == DEFECT and (product, label) not in trained:
            split = ""
        yield Line(row.number, image, mask, product, defect, split, row.damage)


def _the_list(folder: Path) -> Path | None:
    tables = (folder / "split_csv" / name for name in LISTS)
    return next((table for table in tables if is_file_inside(table, folder)), None)


LAYOUT = Layout(
    name="visa",
    expected="split_csv/1cls.csv and <product>/Data/Images/Anomaly/NAME.JPG with <product>/Data/Masks/Anomaly/NAME.png",
    matches=_matches,
    place=_place,
    stray=STRAY,
)
