"""dvc.lock as text, an entry for each stage, as DVC wrote it: taken apart and put together without being interpreted.

For hundreds of stages it has a megabyte; DVC's own way of changing one entry, which keeps comments, takes it 15 s.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline_tasks.errors import DataError
from pipeline_tasks.lineage.files import replace_text

LOCK = "dvc.lock"
_HEAD = "schema: '2.0'\nstages:\n"
_ENTRY = re.compile(r"^  (\S+):\n((?:    .*\n|\n)*)", re.MULTILINE)
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_entries(root: Path) -> dict[str, str]:
    """Return the text of every stage's entry in dvc.lock, in its order; none if there is no dvc.lock.

    Raises DataError for a dvc.lock that DVC has not written.
    """
    path = root / LOCK
    if not path.exists():
        return {}
    text = path.read_text()
    entries = {match[1]: match[2] for match in _ENTRY.finditer(text)}
    if text != _joined(entries):
        raise DataError(f"{path}: not as DVC writes it, or for a stage with no name; restore it with git")
    return entries


def write_entries(root: Path, entries: Mapping[str, str]) -> None:
    """Make `entries` those of dvc.lock, and no others."""
    replace_text(root / LOCK, _joined(entries))


def parsed(entry: str) -> Any:
    """Return what an entry says. Numbers such as 1e-05 may come as text."""
    return yaml.load(entry, Loader=LOADER)  # noqa: S506 - a SafeLoader


def outputs_of(entry: str) -> dict[str, str]:
    """Return DVC's MD5s of a stage's outputs, by path."""
    return {out["path"]: out["md5"] for out in parsed(entry).get("outs", [])}


def _joined(entries: Mapping[str, str]) -> str:
    return _HEAD + "".join(f"  {stage}:\n{entry}" for stage, entry in entries.items())
