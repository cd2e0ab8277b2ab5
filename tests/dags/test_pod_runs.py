"""Whole runs of the DAGs as pods, each a process in a folder of its own: nothing is shared but git and the remote."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from told import Told, versions

from pipeline_tasks.lineage.graph import load_graph

EXAMPLE = Path(__file__).parents[2] / "containers" / "kubernetes" / "pods.yaml"


@pytest.fixture
def cluster(airflow, tiny_pipeline, tmp_path):
    """Runs a DAG derived from the tiny pipeline on an origin of the same commit, and returns what became of it."""
    git = ("git", "-C", str(tiny_pipeline))
    subprocess.run([*git, "branch", "--move", "main"], check=True)
    subprocess.run([*git, "clone", "--quiet", "--bare", ".", str(tmp_path / "origin.git")], check=True)
    (tmp_path / "remote").mkdir()
    own = {"repository": f"file://{tmp_path}/origin.git", "remote": str(tmp_path / "remote"), "git_secret": None}
    settings = {**yaml.safe_load(EXAMPLE.read_text()), **own, "env": {}}
    (tmp_path / "pods.yaml").write_text(yaml.safe_dump(settings))

    def run(dag: str) -> dict:
        places, events = tmp_path / dag, tmp_path / f"{dag}.jsonl"
        transport = json.dumps({"type": "file", "log_file_path": str(events), "append": True})
        variables = {"DEFECTLINE_PODS": str(tmp_path / "pods.yaml"), "AIRFLOW__OPENLINEAGE__TRANSPORT": transport}
        ran = json.loads(airflow("run_pods.py", tiny_pipeline, dag, str(places), **variables))
        logs = {log.parent.name: log.read_text() for log in places.glob("*/log.txt")}
        assert (ran["run"], set(ran["tasks"].values()) - {"skipped"}) == ("success", {"success"}), logs
        return {"ran": set(ran["tasks"]), "logs": logs, "told": Told(events)}

    return run


@pytest.mark.long
def test_pods_refresh_publish_retrain_and_audit(cluster, tiny_pipeline, tmp_path):
    stages = {stage.name.replace("@", ".") for stage in load_graph(tiny_pipeline).stages}
    refreshed = cluster("dataset_refresh")
    assert refreshed["ran"] == {"pin", "publish", *stages} and refreshed["logs"].keys() == {"publish", *stages}
    published = subprocess.check_output(["git", "tag"], cwd=tmp_path / "origin.git", text=True)
    assert published.split() == ["dataset-1"]
    lock = subprocess.check_output(["git", "show", "main:dvc.lock"], cwd=tmp_path / "origin.git", text=True)
    assert {name.replace("@", ".") for name in yaml.safe_load(lock)["stages"]} == stages
    assert not (tiny_pipeline / "dvc.lock").exists(), "the checkout of the DAGs has seen nothing of it"
    generated = refreshed["told"].of("dataset_refresh.generate.plate-pit")["COMPLETE"]
    assert versions(generated, "inputs") == {"data/samples/plate": None}, "nor does it tell versions of its own"
    assert versions(generated, "outputs") == {"data/pairs/plate/pit": None}
    assert "the detectors of plate are retrained" in cluster("detector_retraining")["logs"]["retrain.plate"]
    assert "the lineage of plate is intact" in cluster("lineage_audit")["logs"]["audit.plate"]
