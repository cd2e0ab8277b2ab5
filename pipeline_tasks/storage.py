"""Parquet tables and JSON on disk. Writes are atomic: a reader sees the whole file or none of it."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_tasks.errors import DataError, SchemaError
from pipeline_tasks.schema import arrow_schema

Row = TypeVar("Row")
ROWS_PER_GROUP = 32
"""Rows held in memory at a time while a table is written or read."""


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it replaces `path`, on failure it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        yield Path(name)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success it takes the place of `path`, on failure it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield fresh
        fresh.chmod(0o755)
        replace_folder(fresh, path)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def replace_folder(fresh: Path, path: Path) -> None:
    """Put the folder `fresh` in the place of `path`, on the same file system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(path, ignore_errors=True)
    fresh.replace(path)


def write_rows(path: Path, rows: Iterable[Row], row: type[Row]) -> int:
    """Write `rows` as one Parquet file, a few at a time, and return how many there were."""
    schema, names, count, stream = arrow_schema(row), arrow_schema(row).names, 0, iter(rows)
    with atomic_file(path) as partial, pq.ParquetWriter(partial, schema, compression="zstd") as writer:
        while group := list(islice(stream, ROWS_PER_GROUP)):
            columns = zip(*(_values(r) for r in group), strict=True)
            try:
                arrays = [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)]
                batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
                batch.validate(full=True)
            except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                raise SchemaError(f"{path}: a row does not fit {row.__name__} {names}: {error}") from error
            for field, array in zip(schema, batch.columns, strict=True):
                if array.null_count and not field.nullable:
                    raise SchemaError(f"{path}: column '{field.name}' of {row.__name__} has a null: a value is required")
            writer.write_batch(batch)
            count += len(group)
    return count


def _values(row: Any) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in row.__slots__) if hasattr(row, "__slots__") else astuple(row)


def open_table(path: Path, row: type) -> pq.ParquetFile:
    """Open a Parquet file and check that it holds the table of `row`.

    Raises DataError if it is missing or unreadable, SchemaError if its columns differ.
    """
    try:
        table = pq.ParquetFile(path)
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing; run `dvc repro` to make it or `dvc pull` to fetch it") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error}); delete it and run `dvc repro`") from error
    if not table.schema_arrow.equals(arrow_schema(row)):
        expected, found = set(arrow_schema(row)), set(table.schema_arrow)
        differing = sorted({f.name for f in expected ^ found})
        raise SchemaError(f"{path}: not a {row.__name__} table, columns differ: {differing}; re-run the stage that wrote it")
    return table


def read_rows(path: Path, row: type[Row]) -> Iterator[Row]:
    """Yield the rows of a Parquet file, a few at a time. The same errors as `open_table`."""
    table = open_table(path, row)
    for batch in table.iter_batches(batch_size=ROWS_PER_GROUP):
        for values in batch.to_pylist():
            yield row(**values)


def read_shards(path: Path, row: type[Row], size: int) -> Iterator[list[Row]]:
    """Yield the rows of a Parquet file in lists of `size` (the last may be shorter). The same errors as `open_table`."""
    rows = read_rows(path, row)
    while shard := list(islice(rows, size)):
        yield shard


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys."""
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON. Raises DataError if the file is missing or damaged."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing; run `dvc repro` to make it or `dvc pull` to fetch it") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: not JSON ({error}); delete it and run `dvc repro`") from error


def content_digest(*paths: Path) -> str:
    """Return the SHA-256 (hex) of files and folders by content and relative name, in a fixed order.

    Raises DataError for a path that does not exist.
    """
    digest = hashlib.sha256()
    for path in paths:
        if not path.exists():
            raise DataError(f"{path}: missing; run `dvc repro` to make it or `dvc pull` to fetch it")
        for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
            digest.update(str(file.relative_to(path)).encode() + b"\0")
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
