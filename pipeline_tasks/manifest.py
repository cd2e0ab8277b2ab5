"""Reading parts of Parquet tables: every row without its pixels, or a few rows whole."""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from pipeline_tasks.schema import PIXEL_COLUMNS, arrow_schema
from pipeline_tasks.storage import open_table

Row = TypeVar("Row")


def read_manifest(files: Iterable[Path], row: type) -> pa.Table:
    """Return all rows of `files`, in their order, as one table without PIXEL_COLUMNS.

    The same errors as `open_table`.
    """
    schema = arrow_schema(row)
    columns = [name for name in schema.names if name not in PIXEL_COLUMNS]
    empty = schema.empty_table().select(columns)
    return pa.concat_tables([empty, *(open_table(file, row).read(columns=columns) for file in files)])


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
