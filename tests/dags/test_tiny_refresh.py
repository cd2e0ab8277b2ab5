"""The whole pipeline on a tiny drawn product: the real DAG, the real stages, DVC, git and MLflow."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import yaml
from settings import write_settings

from pipeline_tasks.sample.product import Counts, write_product
from pipeline_tasks.schema import Pair
from pipeline_tasks.storage import read_rows

REPOSITORY = Path(__file__).parents[2]
TINY = {
    "train": {"steps": 3, "batch_size": 2, "inpainting": {"window_px": 32, "channels": [8, 16]}, "threads": 1},
    "masks": {"pairs_per_defect": 3},
    "generate": {"inpainting": {"steps": 1}, "block_pairs": 2, "shard_pairs": 2, "min_alignment": 0.0},
    "validate": {"min_visible_fraction": 0.0},
    "evaluate": {"seeds": [0], "steps": 2, "batch_size": 2, "features": [4, 4, 4, 4, 4], "threads": 1},
    "register": {"sample_pairs": 2},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """This repository's files in a git repository of their own, with a tiny product and a cheap params.yaml."""
    root = tmp_path_factory.mktemp("project") / "defectline"
    compiled = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "pipeline_tasks", root / "pipeline_tasks", ignore=compiled)
    (root / ".dvc").mkdir()
    for name in ("dvc.yaml", ".dvcignore", ".gitignore", ".dvc/config", ".dvc/.gitignore"):
        shutil.copy(REPOSITORY / name, root / name)
    write_settings(root, **TINY)
    write_product(root / "data/raw/plate", 0, Counts(train_good=4, test_good=2, per_defect=4))
    call(root, "git", "init", "--quiet")
    call(root, "defectline", "catalog", "data/raw/plate")
    call(root, "git", "add", ".")
    call(root, "git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--message", "Begin")
    return root


def own_environment(root):
    """Subprocesses run the copied package and log to the project's own MLflow."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    store = f"sqlite:///{root / '.mlflow/mlflow.db'}"
    return {"PATH": path, "PYTHONPATH": str(root), "MLFLOW_TRACKING_URI": store}


def call(root, *command):
    environment = {**os.environ, **own_environment(root)}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def stages_run(output):
    return set(re.findall(r"Running stage '(.+?)'", output))


def registered(root):
    """Return how many finished runs and model versions MLflow's database holds."""
    with sqlite3.connect(root / ".mlflow/mlflow.db") as database:
        runs = database.execute("select count(*) from runs where status = 'FINISHED'").fetchone()[0]
        versions = database.execute("select count(*) from model_versions").fetchone()[0]
    return runs, versions


def test_a_refresh_ends_registered_and_repeats_only_what_changed(project, airflow):
    first = json.loads(airflow("run_dag.py", project, **own_environment(project)))
    assert first["run"] == "success" and set(first["tasks"].values()) == {"success"}
    every_stage = {task.replace(".", "@") for task in first["tasks"]} - {"publish"}
    lock = yaml.safe_load((project / "dvc.lock").read_text())
    assert lock["stages"].keys() == every_stage
    shards = sorted((project / "data/pairs/plate").glob("*/*.parquet"))
    pairs = [pair for shard in shards for pair in read_rows(shard, Pair)]
    assert sorted({p.defect for p in pairs}) == ["pit", "scratch", "stain"] and len(shards) == 6
    assert len({p.pair_id for p in pairs}) == len(pairs) == 9
    assert all(p.change_outside_max == 0 for p in pairs)
    latest = json.loads((project / "reports/latest.json").read_text())
    assert (project / latest["report"]).is_file()
    assert registered(project) == (1, 1)
    assert call(project, "git", "log", "-1", "--name-only", "--format=").split() == ["dvc.lock"]
    assert call(project, "dvc", "status", "--cloud").strip().endswith("in sync.")

    # Nothing changed: dvc agrees with what Airflow did, and publishing again adds nothing.
    assert stages_run(call(project, "dvc", "repro")) == set()
    call(project, "defectline", "publish")
    assert registered(project) == (1, 1)

    add_base_image(project / "data/raw/plate", "pit")
    rerun = stages_run(call(project, "dvc", "repro"))
    assert rerun == every_stage - {"masks@plate-scratch", "masks@plate-stain"}
    call(project, "defectline", "publish")
    assert registered(project) == (2, 2)


def add_base_image(product, defect):
    """Add one defective part whose name comes first, so that it is of the base split."""
    for folder, suffix in (("test", ""), ("ground_truth", "_mask")):
        image = cv2.imread(str(product / folder / defect / f"003{suffix}.png"), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(product / folder / defect / f"00{suffix}.png"), cv2.flip(image, -1))
