"""A CSV or Parquet file with the columns image, mask, product, defect and, optionally, split (train or test).

Paths are relative to the file's folder. Normal images have the defect good, ok or normal, and no mask or a black one.
"""

from pathlib import Path

from pipeline_tasks.errors import DataError
from pipeline_tasks.layouts.contents import Contents, files_in, is_file_inside
from pipeline_tasks.layouts.layout import IsBlack, Layout, Placed
from pipeline_tasks.layouts.lines import STRAY, Line, place_lines
from pipeline_tasks.layouts.tables import SUFFIXES, Row, columns, rows

COLUMNS = ("image", "mask", "product", "defect")
SPLIT = "split"


def check_named(table: Path) -> None:
    """Raise DataError, saying what to do, unless `table` is the list by which its folder is read."""
    if missing := _missing(table):
        raise DataError(
            f"{table}: lacks the columns {', '.join(missing)}; a list has {', '.join(COLUMNS)} and, optionally, {SPLIT}"
        )
    lists = {other.name for other in _tables(table.parent) if not _missing(other)}
    if table.name not in lists:
        raise DataError(f"{table}: is hidden, or a link out of its folder; put a copy there under another name")
    if others := sorted(lists - {table.name}):
        raise DataError(
            f"{table}: {', '.join(others)} beside it lists samples too, and a folder is read by one list; "
            f"keep {table.name} alone there"
        )


def _matches(folder: Path) -> bool:
    return any(not _missing(table) for table in _tables(folder))


def _place(contents: Contents, is_black: IsBlack) -> Placed:
    table = _the_list(contents.folder)
    contents.pass_over(table.name)
    return place_lines(contents, table.name, map(_line, rows(table, (*COLUMNS, SPLIT))), is_black)


def _the_list(folder: Path) -> Path:
    """Return the one table of a folder that lists samples. Raises DataError if there is none, or a second one."""
    tables = {table: _missing(table) for table in _tables(folder)}
    lists = [table for table, missing in tables.items() if not missing]
    if len(lists) > 1:
        raise DataError(f"{folder}: {lists[0].name} and {lists[1].name} both list samples; keep one of them")
    if not lists:
        lacking = [f"{table.name} lacks {', '.join(missing)}" for table, missing in tables.items()]
        found = "; ".join(lacking) or "there is no such file"
        raise DataError(f"{folder}: no CSV or Parquet file with the columns {', '.join(COLUMNS)}: {found}")
    return lists[0]


def _tables(folder: Path) -> list[Path]:
    """Return the tables right in a folder."""
    return [file.path for file in files_in(folder, SUFFIXES) if is_file_inside(file.path, folder)]


def _missing(table: Path) -> list[str]:
    return [name for name in COLUMNS if name not in columns(table)]


def _line(row: Row) -> Line:
    image, mask, product, defect, split = (row.values.get(name, "") for name in (*COLUMNS, SPLIT))
    return Line(row.number, image, mask, product, defect, split, row.damage)


LAYOUT = Layout(
    name="listing",
    expected=f"a CSV or Parquet file with the columns {', '.join(COLUMNS)} and, optionally, {SPLIT}",
    matches=_matches,
    place=_place,
    stray=STRAY,
)
