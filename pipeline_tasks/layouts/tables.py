"""CSV and Parquet files as rows of text. In a CSV file a line is a row: no value has a line break in it."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_tasks.errors import DataError

SUFFIXES = frozenset({".csv", ".parquet"})
LONGEST_HEADER = 65536
QUOTES = "its quotes do not enclose whole values within the line"


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its number (a CSV file's line, from 1; a Parquet file's row, from 1) and its values by column.

    Column names are in lower case, values stripped; `damage` says why a row cannot be read.
    """

    number: int
    values: dict[str, str]
    damage: str = ""


def columns(table: Path) -> list[str]:
    """Return the names of a table's columns, in lower case; none if it cannot be read."""
    try:
        if table.suffix.lower() == ".parquet":
            return [_tidy(name) for name in pq.read_schema(table).names]
        with _open(table) as file:
            return _header(file)[0]
    except (OSError, csv.Error, pa.ArrowException):
        return []


def rows(table: Path, wanted: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of a table, with the columns `wanted` where it has them.

    Raises DataError if a Parquet file is damaged; of a CSV file only the damaged rows are lost, and yielded as such.
    """
    if table.suffix.lower() == ".parquet":
        return _parquet_rows(table, wanted)
    return _csv_rows(table)


def _parquet_rows(table: Path, wanted: Sequence[str]) -> Iterator[Row]:
    number = 0
    try:
        with pq.ParquetFile(table) as file:
            names = [name for name in file.schema_arrow.names if _tidy(name) in wanted]
            for batch in file.iter_batches(columns=names):
                for values in batch.to_pylist():
                    number += 1
                    yield Row(number, {_tidy(name): _text(value) for name, value in values.items()})
    except (OSError, pa.ArrowException) as error:
        why = " ".join(str(error).split())
        raise DataError(f"{table}: damaged after row {number}: {why}; write it again") from error


def _csv_rows(table: Path) -> Iterator[Row]:
    """Yield the rows of a CSV file, each line by itself: so a stray quote cannot take the lines after it."""
    with _open(table) as file:
        names, delimiter = _header(file)
        for number, line in enumerate(file, start=2):
            try:
                values = next(csv.reader([line], delimiter=delimiter, strict=True), [])
            except csv.Error as error:
                yield Row(number, {}, QUOTES if '"' in line else str(error))
                continue
            if values:
                damage = "" if len(values) <= len(names) else f"{len(values)} values for {len(names)} columns"
                yield Row(number, dict(zip(names, map(str.strip, values), strict=False)), damage)


def _open(table: Path) -> IO[str]:
    return table.open(newline="", encoding="utf-8-sig", errors="backslashreplace")


def _header(file: IO[str]) -> tuple[list[str], str]:
    """Return the columns in a CSV file's first line, and what separates them."""
    line = file.readline(LONGEST_HEADER)
    delimiter = max(",;\t", key=line.count)
    return [_tidy(name) for name in next(csv.reader([line], delimiter=delimiter), [])], delimiter


def _tidy(name: str) -> str:
    return name.strip().lower()


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()
