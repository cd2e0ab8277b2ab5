"""The tiny project, run as a Kubeflow pipeline by KFP's local runner, against the same run by `dvc repro`."""

import shutil
from pathlib import Path

import pytest
import yaml
from nodes import make_origin
from published_project import published_once
from tiny_project import call, make_project

from pipeline_tasks.lineage.graph import load_graph

pytestmark = pytest.mark.kubeflow
RAW = "data/raw/plate"


def make_shared_project(place: Path, remote: Path) -> Path:
    """Make a project whose raw data DVC carries, and push these to the remote."""
    project = make_project(place / "project")
    call(project, "dvc", "add", "--quiet", RAW)
    call(project, "dvc", "remote", "add", "--quiet", "--local", "--default", "shared", str(remote))
    call(project, "dvc", "push", "--quiet")
    call(project, "git", "add", f"{RAW}.dvc")
    call(project, "git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--message", "Raw data")
    return project


def outputs(lock: str) -> dict[str, dict[str, str]]:
    """Return the MD5 of every output, by stage and path, that a dvc.lock has."""
    stages = yaml.safe_load(lock)["stages"]
    return {name: {out["path"]: out["md5"] for out in stage["outs"]} for name, stage in stages.items()}


def test_the_pipeline_makes_and_publishes_what_dvc_repro_makes(compile_graph, run_locally, tmp_path, tmp_path_factory):
    remote = tmp_path / "remote"
    project = make_shared_project(tmp_path, remote)
    origin = make_origin(tmp_path, project)
    compile_graph(project, tmp_path / "pipeline.yaml", repository=origin, branch="trunk", remote=str(remote))
    graph = load_graph(project)
    shutil.rmtree(project)  # all that steps share is git and the remote
    run_locally(tmp_path / "nodes", tmp_path / "pipeline.yaml", mlflow=f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert not list((tmp_path / "nodes").glob("node-*"))

    made = outputs(call(tmp_path, "git", "-C", "origin.git", "show", "trunk:dvc.lock"))
    expected = outputs((published_once(tmp_path_factory) / "dvc.lock").read_text())
    assert made.keys() == {stage.name for stage in graph.stages}
    assert made == {name: expected[name] for name in made}  # there are parts, too, there
    for path, md5 in (output for each in made.values() for output in each.items()):
        if not path.startswith("splits/"):  # git keeps splits
            assert (remote / "files/md5" / md5[:2] / md5[2:]).is_file()
    assert call(tmp_path, "git", "-C", "origin.git", "tag", "--merged", "trunk") == "dataset-1\n"
