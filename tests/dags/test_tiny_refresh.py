"""The whole pipeline on a tiny drawn product: the real DAG, the real stages, DVC, git and MLflow."""

import json
import re
import sqlite3

import cv2
import pytest
import yaml
from tiny_project import call, make_project, own_environment
from told import parts, versions

from pipeline_tasks.schema import Pair
from pipeline_tasks.storage import read_rows


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return make_project(tmp_path_factory.mktemp("project") / "defectline")


def stages_run(output):
    return set(re.findall(r"Running stage '(.+?)'", output))


def registered(root):
    """Return how many finished runs and model versions MLflow's database holds."""
    with sqlite3.connect(root / ".mlflow/mlflow.db") as database:
        runs = database.execute("select count(*) from runs where status = 'FINISHED'").fetchone()[0]
        versions = database.execute("select count(*) from model_versions").fetchone()[0]
    return runs, versions


def test_a_refresh_ends_registered_and_repeats_only_what_changed(project, tell):
    first, told = tell(project, "dataset_refresh", **own_environment(project))
    assert first["run"] == "success" and set(first["tasks"].values()) == {"success"}
    every_stage = {task.replace(".", "@") for task in first["tasks"]} - {"publish"}
    lock = yaml.safe_load((project / "dvc.lock").read_text())
    assert lock["stages"].keys() == every_stage
    check_chain(told)
    shards = sorted((project / "data/pairs/plate").glob("*/*.parquet"))
    pairs = [pair for shard in shards for pair in read_rows(shard, Pair)]
    assert sorted({p.defect for p in pairs}) == ["pit", "scratch", "stain"] and len(shards) == 6
    assert len({p.pair_id for p in pairs}) == len(pairs) == 9
    assert all(p.change_outside_max == 0 for p in pairs)
    latest = json.loads((project / "reports/latest.json").read_text())
    assert (project / latest["report"]).is_file()
    assert registered(project) == (1, 2)
    committed = call(project, "git", "log", "-1", "--name-only", "--format=").split()
    assert committed == ["dvc.lock", "lineage.json.dvc", "splits/plate.csv"]
    assert call(project, "dvc", "status", "--cloud").strip().endswith("in sync.")

    # Nothing changed: dvc agrees with what Airflow did, and publishing again adds nothing.
    assert stages_run(call(project, "dvc", "repro")) == set()
    call(project, "defectline", "publish")
    assert registered(project) == (1, 2)

    add_base_image(project / "data/raw/plate", "pit")
    rerun = stages_run(call(project, "dvc", "repro"))
    assert rerun == every_stage - {"masks@plate-scratch", "masks@plate-stain"}
    call(project, "defectline", "publish")
    assert registered(project) == (2, 4)


def check_chain(told):
    """Check that every stage told of having read exactly what others told of having made, and nothing else but raw."""
    completed = {event["job"]["name"]: event for event in told.events if event["eventType"] == "COMPLETE"}
    made = {name: version for event in completed.values() for name, version in versions(event, "outputs").items()}
    read = {name: version for event in completed.values() for name, version in versions(event, "inputs").items()}
    assert read.keys() - made.keys() == {"data/raw/plate"} and made.keys() - read.keys() == {"dataset"}
    assert all(made.values()) and {**made, **read} == {**read, **made}
    trained = versions(completed["dataset_refresh.train.plate"], "inputs")
    assert trained["data/base/plate"] == made["data/base/plate"]
    masked = parts(completed["dataset_refresh.masks.plate-pit"])
    assert masked == {"data/base/plate": ["data/base/plate/good.parquet", "data/base/plate/pit.parquet"]}


def add_base_image(product, defect):
    """Add a sixth defective part, whose name comes first: of six, two are base."""
    for folder, suffix in (("test", ""), ("ground_truth", "_mask")):
        image = cv2.imread(str(product / folder / defect / f"003{suffix}.png"), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(product / folder / defect / f"00{suffix}.png"), cv2.flip(image, -1))
