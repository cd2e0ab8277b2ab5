"""Files of weights by size and SHA-256: what the pretrain stage records, and the train stage finds as it was."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline_tasks.errors import ModelError


def describe_files(folder: Path, names: Iterable[str]) -> dict[str, Any]:
    """Return `files`, by relative name their 'sha256' (hex) and 'bytes', and `digest`, SHA-256 (hex) over them all."""
    files = {name: _described(folder / name) for name in names}
    return {"files": files, "digest": _digest(files)}


def _described(file: Path) -> dict[str, Any]:
    with file.open("rb") as stream:
        return {"sha256": hashlib.file_digest(stream, "sha256").hexdigest(), "bytes": file.stat().st_size}


def _digest(files: Mapping[str, Mapping[str, Any]]) -> str:
    lines = (f"{name}\0{files[name]['sha256']}\n" for name in sorted(files))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def check_unchanged(folder: Path, card: Mapping[str, Any]) -> None:
    """Raise ModelError unless the files of a card are in `folder` as the pretrain stage recorded them."""
    for name, recorded in card["files"].items():
        if not _is_as_recorded(folder / name, recorded, exactly=folder == Path(card["source"])):
            raise ModelError(f"{folder / name}: missing or changed since the pretrain stage; run that stage again")


def _is_as_recorded(file: Path, recorded: Mapping[str, Any], *, exactly: bool) -> bool:
    """Tell whether a file has the recorded size and, `exactly`, content: nothing but this watches a local folder."""
    if not file.is_file() or file.stat().st_size != recorded["bytes"]:
        return False
    return not exactly or _described(file)["sha256"] == recorded["sha256"]
