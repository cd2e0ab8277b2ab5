"""This repository's files as a project of their own, with a tiny drawn product and parameters that cost little."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from settings import KEEP_ALL, write_settings

from pipeline_tasks.sample.product import Counts, write_product

REPOSITORY = Path(__file__).parents[2]
TINY: dict[str, dict[str, Any]] = {
    "train": {"steps": 3, "batch_size": 2, "inpainting": {"window_px": 32, "channels": [8, 16]}, "threads": 1},
    "masks": {"pairs_per_defect": 3},
    "generate": {"inpainting": {"steps": 1}, "block_pairs": 2, "shard_pairs": 2, "keep": KEEP_ALL},
    "detector": {"steps": 2, "batch_size": 2, "features": [4, 4, 4, 4, 4], "classifier": {"steps": 2, "batch_size": 2}},
    "choose": {"folds": 2, "repeats": 1, "draws": 20, "budget_minutes": 0.0},
    "evaluate": {"seeds": [0], "draws": 20, "budget_minutes": 0.0},
    "register": {"sample_pairs": 2},
}


def make_project(root: Path, parts: int = 1, **sections: dict[str, Any]) -> Path:
    """Make the project at `root`, its catalog written, each defect in so many parts, and all of it committed.

    sections: of params.yaml, over TINY.
    """
    compiled = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "pipeline_tasks", root / "pipeline_tasks", ignore=compiled)
    (root / ".dvc").mkdir()
    for name in ("dvc.yaml", ".dvcignore", ".gitignore", ".dvc/config", ".dvc/.gitignore"):
        shutil.copy(REPOSITORY / name, root / name)
    write_settings(root, **{name: TINY.get(name, {}) | sections.get(name, {}) for name in {*TINY, *sections}})
    write_product(root / "data/raw/plate", 0, Counts(train_good=4, test_good=2, per_defect=5))
    call(root, "git", "init", "--quiet")
    call(root, "defectline", "catalog", "data/raw/plate", "--parts", str(parts))
    call(root, "git", "add", ".")
    call(root, "git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--message", "Begin")
    return root


def own_environment(root: Path) -> dict[str, str]:
    """Return what makes subprocesses run the copied package and log to the project's own MLflow."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    store = f"sqlite:///{root / '.mlflow/mlflow.db'}"
    return {"PATH": path, "PYTHONPATH": str(root), "MLFLOW_TRACKING_URI": store}


def call(root: Path, *command: str) -> str:
    """Run a command, which must succeed, and return what it printed."""
    environment = {**os.environ, **own_environment(root)}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
