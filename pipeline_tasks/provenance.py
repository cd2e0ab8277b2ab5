"""Where a pair comes from, told so that it can be checked: the code as git's tree id, the row by its seal.

The seal `row_sha256` is the SHA-256 of the row as JSON: every column of schema.Pair but itself and PIXEL_COLUMNS, keys
sorted, no spaces, ASCII only, floats by repr, null for what is not there. The pixels are under it by their own digests,
`image_sha256`, `mask_sha256` and, where the generator made the normal image too, `normal_sha256`.
"""

import hashlib
import json
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from dulwich.objects import Blob, Tree

from pipeline_tasks.schema import PIXEL_COLUMNS, Pair, arrow_schema
from pipeline_tasks.storage import PARTIAL

PACKAGE = Path(__file__).parent
"""The folder of the code that runs."""
SEAL = "row_sha256"
_FILE, _PROGRAM, _LINK = 0o100644, 0o100755, 0o120000
"""Git's modes."""


@dataclass(frozen=True, slots=True)
class MadeBy:
    """The code and the run that make pairs; schema.Pair says what each is."""

    code_revision: str
    run_id: str


@cache
def code_revision(folder: Path) -> str:
    """Return git's tree id, 40 hex digits, of what is in `folder`: names, content and which files can be executed.

    Left out is what git does not keep here: __pycache__, *.pyc, unfinished writes (*.part), hidden files and folders
    without any file. A process reads a folder once.
    """
    return _tree(folder).id.decode()


def _tree(folder: Path) -> Tree:
    tree = Tree()
    for path in folder.iterdir():
        if path.name != "__pycache__" and not path.name.startswith(".") and path.suffix not in {".pyc", PARTIAL}:
            mode, content = _entry(path)
            if not isinstance(content, Tree) or len(content):
                tree.add(os.fsencode(path.name), mode, content.id)
    return tree


def _entry(path: Path) -> tuple[int, Blob | Tree]:
    """Return git's mode and object of what is at `path`."""
    if path.is_symlink():
        return _LINK, Blob.from_string(os.fsencode(path.readlink()))
    if path.is_dir():
        return stat.S_IFDIR, _tree(path)
    return _PROGRAM if path.stat().st_mode & stat.S_IXUSR else _FILE, Blob.from_string(path.read_bytes())


def sealed(pair: Pair) -> Pair:
    """Return the pair with its seal."""
    return replace(pair, row_sha256=row_digest({name: getattr(pair, name) for name in _sealed_columns()}))


def row_digest(values: Mapping[str, Any]) -> str:
    """Return the seal of a pair, 64 hex digits, from its columns by name; the seal and the pixels need not be there.

    The same whether a row was just made or comes out of Parquet: a whole number in a column of floats is a float.
    """
    told = {name: None if values[name] is None else cast(values[name]) for name, cast in _sealed_columns().items()}
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@cache
def _sealed_columns() -> dict[str, Callable[[Any], Any]]:
    """Return the columns under the seal, each with what brings its values into their type."""
    return {field.name: _cast(field.type) for field in arrow_schema(Pair) if field.name not in {SEAL, *PIXEL_COLUMNS}}


def _cast(kind: pa.DataType) -> Callable[[Any], Any]:
    if pa.types.is_list(kind):
        cast = _cast(kind.value_type)
        return lambda values: [cast(value) for value in values]
    return {pa.string(): str, pa.int64(): int, pa.float64(): float, pa.bool_(): bool}[kind]
