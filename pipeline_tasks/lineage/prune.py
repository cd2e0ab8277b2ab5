"""Forget the stages that dvc.yaml no longer has: their entries in dvc.lock and their outputs in the workspace.

Joint stages depend on a parent folder such as data/pairs/<product>, so what a removed defect left there must go before
they run. Nothing is lost: DVC's cache keeps every output, and most come back by the run-cache when the stage returns.
Stored splits stay: they are made once, and hold again when their product returns.
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_tasks.lineage.files import SPLITS, replace_text
from pipeline_tasks.lineage.git import answer
from pipeline_tasks.lineage.graph import load_graph


@dataclass(frozen=True)
class Pruned:
    """What `prune` did."""

    stages: tuple[str, ...]
    """Names of the forgotten stages."""
    left: tuple[str, ...]
    """Paths of their outputs that stay: git tracks them, or they hold files that DVC does not know."""


def prune(root: Path) -> Pruned:
    """Drop the entries of dvc.lock whose stage is not in dvc.yaml any more, and remove the outputs they record.

    A file goes only if dvc.lock or the directory listing in DVC's cache names it and git does not track it.
    Raises ConfigError if dvc.yaml cannot be resolved.
    """
    if not (root / "dvc.lock").is_file():
        return Pruned((), ())
    known = {stage.name for stage in load_graph(root).stages}
    from dvc.repo import Repo
    from dvc.utils.serialize import dumps_yaml, parse_yaml_for_update

    with Repo(str(root)) as repo, repo.lock:
        lock = parse_yaml_for_update((root / "dvc.lock").read_text(), "dvc.lock")
        gone = {name: lock["stages"].pop(name) for name in [*lock.get("stages", {})] if name not in known}
        if not gone:
            return Pruned((), ())
        kept = set(_outputs(lock["stages"].values()))
        outputs = {path: digest for path, digest in _outputs(gone.values()).items() if path not in kept}
        left = [path for path, digest in outputs.items() if not _remove(root, path, _listing(repo, digest))]
        replace_text(root / "dvc.lock", dumps_yaml(lock))
    return Pruned(tuple(gone), tuple(left))


def _outputs(entries: Iterable[Any]) -> dict[str, str]:
    outs = [out for entry in entries for out in entry.get("outs", [])]
    return {out["path"]: out.get("md5", "") for out in outs if Path(out["path"]).parts[0] != SPLITS}


def _listing(repo: Any, digest: str) -> list[str] | None:
    """Return the relative paths of the files in a folder; None if `digest` is a file's, or is not in the cache."""
    if not digest.endswith(".dir"):
        return None
    try:
        return [entry["relpath"] for entry in json.loads(Path(repo.cache.local.oid_to_path(digest)).read_text())]
    except FileNotFoundError:
        return None


def _remove(root: Path, path: str, listing: list[str] | None) -> bool:
    """Remove one output and the folders it leaves empty; return whether nothing of it is left."""
    output = root / path
    if not output.parent.resolve().is_relative_to(root.resolve()) or _tracked_by_git(root, path):
        return False
    for file in [output / name for name in listing] if listing is not None else [output]:
        with suppress(FileNotFoundError, IsADirectoryError, PermissionError):
            file.unlink()
    inner = sorted((folder for folder in output.rglob("*") if folder.is_dir()), reverse=True)
    outer = [root / parent for parent in Path(path).parents if parent != Path()]
    for folder in [*inner, output, *outer]:
        with suppress(OSError):  # not empty
            folder.rmdir()
    return not output.exists()


def _tracked_by_git(root: Path, path: str) -> bool:
    return bool(answer(root, "ls-files", "--", path))
