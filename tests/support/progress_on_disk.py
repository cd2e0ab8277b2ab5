"""How far a stage of a tiny project has come, by what is on its disk."""

import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

from safetensors import safe_open

from pipeline_tasks.params import load_params
from pipeline_tasks.schema import Pair
from pipeline_tasks.storage import PARTIAL, open_table

Progress = tuple[int, int]
"""What is done, and what there is to do."""


def progress_of(root: Path, stage: str) -> Progress:
    """Return how far a killed stage, named as in dvc.yaml, or `publish`, has come."""
    of: dict[str, Callable[[Path, str], Progress]]
    of = {"train": _steps, "generate": _pairs, "validate": _files, "publish": _entries}
    name, _, item = stage.partition("@")
    return of[name](root, item)


def _steps(root: Path, item: str) -> Progress:
    """Count the training steps behind the newest checkpoint."""
    total = load_params(root / "params.yaml").train.steps
    for state in (root / ".work/train" / item).glob("*/state.safetensors"):
        with safe_open(state, "np") as tensors:
            return tensors.get_slice("losses").get_shape()[0], total
    return 0, total


def _pairs(root: Path, item: str) -> Progress:
    """Count the pairs in finished shards."""
    shards = [
        shard
        for shard in (root / ".work/generate" / item).glob("*/*.parquet")
        if (shard.parent / "rejected" / shard.name).exists()
    ]
    done = sum(open_table(shard, Pair).metadata.num_rows for shard in shards)
    return done, load_params(root / "params.yaml").masks.pairs_per_defect


def _files(root: Path, item: str) -> Progress:
    """Count the files of the result and of the Data Docs that are written, in their place or beside it."""
    folder = root / "data/validation" / item
    return sum(file.is_file() and file.suffix != PARTIAL for file in folder.rglob("*")), 2


def _entries(root: Path, _: str) -> Progress:
    """Count what publishing has left: commit, copies, entries in MLflow's tables, report, pointer to the newest."""
    changed = subprocess.check_output(["git", "status", "--porcelain", "--", "dvc.lock"], cwd=root)
    remote, cache = root / ".remote/files/md5", root / ".dvc/cache/files/md5"
    done = [not changed, len([*remote.rglob("*")]) == len([*cache.rglob("*")]), (root / "reports/latest.json").exists()]
    done += [
        any(root.glob(report)) for report in ("reports/*/report.html", ".mlflow/artifacts/*/artifacts/report.html")
    ]
    wanted = ["runs", "params", "metrics", "datasets", "logged_models", "model_versions", "runs where end_time > 0"]
    if (root / ".mlflow/mlflow.db").exists():
        with sqlite3.connect(root / ".mlflow/mlflow.db") as database:
            done += [database.execute(f"select count(*) from {rows}").fetchone()[0] > 0 for rows in wanted]  # noqa: S608
    return sum(done), 5 + len(wanted)
