"""Reading parts of Parquet tables: every row without its pixels, or a few rows whole."""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_tasks.schema import PIXEL_COLUMNS, arrow_schema
from pipeline_tasks.storage import atomic_file, bounded_groups, open_table

Row = TypeVar("Row")
GATHERED_ROWS = 2**14
"""Rows held in memory at a time while tables are gathered in one file."""


def read_manifest(files: Iterable[Path], row: type) -> pa.Table:
    """Return all rows of `files`, in their order, as one table without PIXEL_COLUMNS.

    The same errors as `open_table`.
    """
    return pa.concat_tables([_without_pixels(row), *_read_without_pixels(files, row)])


def gather(files: Iterable[Path], row: type, path: Path) -> None:
    """Write all rows of `files`, in their order, as one table `path` without PIXEL_COLUMNS: columns can be read alone.

    Memory holds GATHERED_ROWS rows. The same errors as `open_table`.
    """
    empty, tables = _without_pixels(row), _read_without_pixels(files, row)
    with atomic_file(path) as partial, pq.ParquetWriter(partial, empty.schema, compression="lz4") as writer:
        for group in bounded_groups(tables, GATHERED_ROWS, GATHERED_ROWS, lambda table: int(table.num_rows)):
            writer.write_table(pa.concat_tables(group).combine_chunks())


def _without_pixels(row: type) -> pa.Table:
    empty = arrow_schema(row).empty_table()
    return empty.select([name for name in empty.column_names if name not in PIXEL_COLUMNS])


def _read_without_pixels(files: Iterable[Path], row: type) -> Iterator[pa.Table]:
    columns = _without_pixels(row).column_names
    for file in files:
        with open_table(file, row) as table:
            yield table.read(columns=columns, use_threads=False)


def read_selected(files: Iterable[Path], row: type[Row], column: str, values: Collection[object]) -> Iterator[Row]:
    """Yield the rows whose `column` is among `values`, pixels included; other rows are not decoded.

    The same errors as `open_table`.
    """
    for file in files:
        table = open_table(file, row)
        for group in range(table.num_row_groups):
            keys = table.read_row_group(group, columns=[column])[column].to_pylist()
            indices = [i for i, key in enumerate(keys) if key in values]
            if indices:
                yield from (row(**v) for v in table.read_row_group(group).take(indices).to_pylist())
