"""The whole graph on two machines that share nothing but git and an S3 bucket, against `dvc repro` on one."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient
from nodes import Node, kill, make_origin
from servers import Store, mlflow_server, postgres, s3_store
from tiny_project import call, make_project

from pipeline_tasks.lineage.graph import load_graph

RUN = "scheduled__2026-01-31T02:00:00+00:00"


@pytest.fixture
def store() -> Iterator[Store]:
    with s3_store() as store:
        yield store


@pytest.fixture
def mlflow(tmp_path: Path, store: Store) -> Iterator[str]:
    """The address of an MLflow server on PostgreSQL, its artifacts on the store."""
    with postgres(tmp_path / "postgres", "mlflow") as uris:
        place = f"s3://{store.bucket}/mlflow"
        with mlflow_server(tmp_path / "mlflow", uris["mlflow"], place, store.settings) as address:
            yield address


def make_shared_project(root: Path, store: Store) -> Path:
    """Make the tiny project with enough work to be killed in, its raw data on the store."""
    make_project(
        root,
        train={"steps": 150, "checkpoint_every_steps": 5},
        masks={"pairs_per_defect": 8},
        generate={"shard_pairs": 2},
    )
    call(root, "dvc", "remote", "add", "--quiet", "--default", "shared", f"s3://{store.bucket}/dvc")
    call(root, "dvc", "add", "--quiet", "data/raw/plate")
    call(root, "git", "add", ".")
    call(root, "git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--message", "Share the data")
    call(root, "env", *(f"{name}={value}" for name, value in store.settings.items()), "dvc", "push", "--quiet")
    return root


def killed_in(node: Node, store: Store, revision: str, stage: str) -> None:
    """Run a stage on a node and cut its power as soon as some of its unfinished work is on the store."""
    group, _, key = stage.partition("@")
    process = node.start(revision, "repro", stage, "--run", RUN)
    deadline = time.monotonic() + 120
    while not store.names(f"dvc/defectline/unfinished/{group}/{key}/"):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
        time.sleep(0.02)
    kill(process)
    node.lose()


def check_registered(client: MlflowClient, store: Store, folder: Path) -> None:
    """Check that the server has the version, and hands out its files, which lie on the store."""
    assert {model.name for model in client.search_registered_models()} == {
        "defectline-plate-dataset",
        "defectline-plate-generator",
    }
    (run,) = client.search_runs(
        [e.experiment_id for e in client.search_experiments(filter_string="name = 'defectline'")]
    )
    assert run.info.status == "FINISHED"
    folder.mkdir()
    client.download_artifacts(run.info.run_id, "report.html", str(folder))
    assert (folder / "report.html").read_text().startswith("<!")
    assert any(name.endswith("/artifacts/report.html") for name in store.names("mlflow/"))


def test_the_graph_on_two_machines_with_two_deaths_equals_that_on_one(tmp_path, store, mlflow):
    project = make_shared_project(tmp_path / "project", store)
    url, revision = make_origin(tmp_path, project), call(project, "git", "rev-parse", "HEAD").strip()
    names = [stage.name for stage in load_graph(project).stages]
    settings = {**store.settings, "MLFLOW_TRACKING_URI": mlflow}
    one, other = (Node(tmp_path / name, url, f"s3://{store.bucket}/dvc", settings) for name in ("one", "other"))
    for number, stage in enumerate(names):
        nodes = (one, other) if number % 2 else (other, one)
        if stage in ("train@plate", "generate@plate-pit"):
            killed_in(nodes[1], store, revision, stage)
        said = nodes[0].run(revision, "repro", stage, "--run", RUN)
        assert said.rstrip().endswith("ran"), said
        assert ("going on with unfinished work" in said) == (stage in ("train@plate", "generate@plate-pit")), said
    one.run(revision, "publish", "--run", RUN, "--branch", "trunk")
    left = {name.split("/")[3] for name in store.names("dvc/defectline/unfinished/")}
    assert left <= {"choose", "evaluate"}  # trainings that the next run may need
    check_registered(MlflowClient(mlflow), store, tmp_path / "fetched")

    call(project, "dvc", "repro", "--quiet")
    published = yaml.safe_load(call(tmp_path / "origin.git", "git", "show", "trunk:dvc.lock"))["stages"]
    alone = yaml.safe_load((project / "dvc.lock").read_text())["stages"]
    assert published == alone
    assert call(tmp_path / "origin.git", "git", "tag").split() == ["dataset-1"]
    assert (one.checkout / "data/pairs/plate/pit/00003.parquet").read_bytes() == (
        project / "data/pairs/plate/pit/00003.parquet"
    ).read_bytes()

    again = {other.run("trunk", "repro", stage, "--run", "the next night").split()[-1] for stage in names[:3]}
    assert again == {"unchanged"}
