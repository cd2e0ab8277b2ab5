"""Parquet tables and JSON on disk. Writes are atomic: a reader sees the whole file or none of it."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields
from glob import escape
from numbers import Integral
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_tasks.errors import DataError, SchemaError, refusals_named
from pipeline_tasks.schema import arrow_schema

Row = TypeVar("Row", bound=Hashable)
Item = TypeVar("Item")
ROWS_PER_GROUP = 32
"""Rows held in memory at a time while a table is written or read ..."""
BYTES_PER_GROUP = 128 * 2**20
"""... fewer where their pixels reach this size."""
PARTIAL = ".part"
"""Ending of unfinished files and folders, which a killed run may leave beside an output; .dvcignore names it."""


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it replaces `path`, on failure it is removed.

    Raises StorageError if the operating system refuses.
    """
    with refusals_named(path):
        make_room(path)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL)
        os.close(handle)
        try:
            yield Path(name)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success it takes the place of `path`, on failure it is removed.

    Raises StorageError if the operating system refuses.
    """
    with refusals_named(path):
        make_room(path)
        fresh = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL))
        try:
            yield fresh
            fresh.chmod(0o755)
            replace_folder(fresh, path)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def make_room(path: Path) -> None:
    """Make the folder of `path`, and remove from it what killed writes of `path` left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{escape(path.name)}.{'?' * 8}{PARTIAL}"):  # eight characters are tempfile's
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()


def replace_folder(fresh: Path, path: Path) -> None:
    """Put the folder `fresh` in the place of `path`, on the same file system; what was there goes as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL) as aside:
        with suppress(FileNotFoundError):
            path.replace(Path(aside) / path.name)
        fresh.replace(path)


def write_rows(path: Path, rows: Iterable[Row], row: type[Row]) -> int:
    """Write `rows` as one Parquet file, a few at a time, and return how many there were.

    Raises SchemaError for a row with a value of the wrong type or without a required one; then nothing is written.
    """
    schema, count = arrow_schema(row), 0
    with atomic_file(path) as partial, pq.ParquetWriter(partial, schema, compression="lz4") as writer:
        for group in bounded_groups(rows, ROWS_PER_GROUP, BYTES_PER_GROUP, _binary_bytes):
            columns = [_column(f"{path}: {row.__name__}", field, group) for field in schema]
            writer.write_batch(pa.record_batch(columns, schema=schema))
            count += len(group)
    return count


def bounded_groups(
    items: Iterable[Item], most: int, size_limit: int, size_of: Callable[[Item], int]
) -> Iterator[list[Item]]:
    """Yield `items` in groups, each closed at `most` items or as soon as their sizes add up to `size_limit`."""
    group: list[Item] = []
    size = 0
    for item in items:
        group.append(item)
        size += size_of(item)
        if len(group) == most or size >= size_limit:
            yield group
            group, size = [], 0
    if group:
        yield group


def _binary_bytes(row: Any) -> int:
    values = (getattr(row, field.name) for field in fields(row))
    return sum(len(value) for value in values if isinstance(value, bytes))


def _column(table: str, field: pa.Field, rows: Iterable[Any]) -> pa.Array:
    values = [getattr(row, field.name) for row in rows]
    try:
        column = pa.array(values, field.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise SchemaError(f"{table}.{field.name} should hold {field.type}: {error}") from error
    if pa.types.is_integer(field.type) and not all(isinstance(value, Integral | None) for value in values):
        raise SchemaError(f"{table}.{field.name} should hold {field.type}: a fraction would be lost")
    nulls = column.null_count + (column.flatten().null_count if pa.types.is_list(field.type) else 0)
    if nulls and not field.nullable:
        raise SchemaError(f"{table}.{field.name} holds a null: a value is required")
    return column


def open_table(path: Path, row: type) -> pq.ParquetFile:
    """Open a Parquet file and check that it holds the table of `row`.

    Raises DataError if it is missing or unreadable, SchemaError if its columns differ.
    """
    try:
        table = pq.ParquetFile(path)
    except FileNotFoundError as error:
        raise _missing(path) from error
    except (pa.ArrowInvalid, OSError) as error:
        raise _damaged(path, error) from error
    expected, found = list(arrow_schema(row)), list(table.schema_arrow)
    if expected != found:
        differing = sorted({f.name for f in expected + found if f not in expected or f not in found}) or "their order"
        raise SchemaError(f"{path}: not a {row.__name__} table, columns differ: {differing}; re-run its stage")
    return table


def read_rows(path: Path, row: type[Row]) -> Iterator[Row]:
    """Yield the rows of a Parquet file, a few at a time. The same errors as `open_table`."""
    with open_table(path, row) as table:
        for batch in _batches(path, table):
            for values in batch.to_pylist():
                yield row(**values)


def _batches(path: Path, table: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    try:
        for group in range(table.num_row_groups):
            yield from table.read_row_group(group).to_batches()
    except (pa.ArrowInvalid, OSError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DataError:
    reason = " ".join(str(error).split())
    return DataError(f"{path}: not a readable Parquet file ({reason}); delete it and run `dvc repro`")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys."""
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON. Raises DataError if the file is missing or damaged."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise _missing(path) from error
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error}); delete it and run `dvc repro`") from error


def sample_files(folder: Path) -> list[Path]:
    """Return the sample tables below `folder`, of a product or of several: one per defect and one of normal images.

    Raises DataError without any.
    """
    files = sorted(file for file in folder.rglob("*.parquet") if not _is_unfinished(file.relative_to(folder)))
    if not files:
        raise DataError(f"{folder}: no samples; run `dvc repro` to make them or `dvc pull` to fetch them")
    return files


def content_digest(*paths: Path) -> str:
    """Return the SHA-256 (hex) of files and folders by content and relative name, in a fixed order.

    Raises DataError if one is missing.
    """
    digest = hashlib.sha256()
    for path in paths:
        files = sorted(p for p in path.rglob("*") if _counts(p, path)) if path.is_dir() else [path]
        digest.update(f"{len(files)}\0".encode())
        for file in files:
            digest.update(f"{file.relative_to(path)}\0".encode() + _file_digest(file))
    return digest.hexdigest()


def _counts(file: Path, folder: Path) -> bool:
    return file.is_file() and not _is_unfinished(file.relative_to(folder))


def _is_unfinished(path: Path) -> bool:
    """Tell whether a path is, or is in, what a killed write left behind."""
    return any(part.endswith(PARTIAL) for part in path.parts)


def _file_digest(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except FileNotFoundError as error:
        raise _missing(file) from error


def _missing(path: Path) -> DataError:
    return DataError(f"{path}: missing; run `dvc repro` to make it or `dvc pull` to fetch it")
