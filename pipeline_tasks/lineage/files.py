"""Atomic replacement of small text files. Not storage.py's: importing its table library is too slow for a DAG parse."""

import os
import tempfile
from pathlib import Path

from pipeline_tasks.errors import refusals_named

WORK = Path(".work")
"""Folder of unfinished work and of what can be made again, which git does not keep."""
SPLITS = "splits"
"""Folder of the stored splits, which dvc.yaml's ingest keeps and git versions."""
CODE = "pipeline_tasks"
"""Folder of the code that stages run, and name among their dependencies; a protocol's workspace links to it."""
RECORD = "lineage.json"
"""What a published version is made of, for those who ask years later; DVC keeps it, git its digest."""


def replace_text(path: Path, text: str) -> None:
    """Write `text` to `path`: a reader sees the old file or the new one, never a part. Raises StorageError."""
    with refusals_named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w") as stream:
                stream.write(text)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
