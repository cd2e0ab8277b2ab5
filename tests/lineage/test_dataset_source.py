"""What a run has recorded of its data sets, fetched by a process that knows the run alone."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.exceptions import MlflowException

from pipeline_tasks.errors import ConfigError
from pipeline_tasks.lineage.dataset_source import DvcDatasetSource
from pipeline_tasks.lineage.dvc_files import DvcFiles, repository_of
from pipeline_tasks.lineage.lock import md5_of
from pipeline_tasks.storage import content_digest
from pipeline_tasks.tracking.registry import Dataset, Record, connect

LOAD = """
import sys, mlflow
run = mlflow.MlflowClient(sys.argv[1]).get_run(sys.argv[2])
(data,) = run.inputs.dataset_inputs
print(mlflow.data.get_source(data).load(sys.argv[3]))
"""
CHEAP = """
import sys, mlflow.data
print(sorted(name for name in sys.modules if name.split(".")[0] in ("pipeline_tasks", "dvc")))
"""
URI = f"dvc://data/pairs/plate/pit?rev={'a' * 40}&md5={'b' * 32}.dir&repo=https://example.org/plates.git"


def process(program, *arguments, cwd):
    own = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-W", "error::UserWarning:mlflow.data", "-c", program, *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


class Logged(NamedTuple):
    """A run that has the pairs of a published tiny pipeline as its data set, and what these are."""

    root: Path
    store: str
    run_id: str
    content: str


@pytest.fixture(scope="module")
def logged(refreshed_template, tmp_path_factory):
    """The run; of the pipeline the workspace is gone, its cache is there."""
    folder = tmp_path_factory.mktemp("logged")
    root = shutil.copytree(refreshed_template, folder / "a pipeline")
    for command in (["add", "."], ["commit", "--quiet", "--message", "Refresh"]):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *command], cwd=root, check=True)
    revision = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=root, text=True).strip()
    path = "data/pairs/plate/pit"
    md5, content = str(md5_of(root / path)), content_digest(root / path)
    source = DvcFiles(path, revision, md5, repository_of(root)).uri
    (folder / "files").mkdir()
    dataset = Dataset("plate/pit", md5, source, pd.DataFrame({"pair_id": ["a"]}), "pairs")
    store = f"sqlite:///{folder}/mlflow.db"
    with connect(store, "defectline", folder / "artifacts") as registry:
        run = registry.begin("a version", {})
        registry.complete(run, Record({}, {}, [dataset], [], folder / "files"))
    shutil.rmtree(root / "data")
    return Logged(root, store, run.run_id, content)


@pytest.mark.parametrize("where", ["anywhere", "in the repository", "in a clean clone"])
def test_a_fresh_process_gets_the_very_files_by_the_run_alone(logged, tmp_path, where):
    subprocess.run(["git", "clone", "--quiet", logged.root, tmp_path / "clone"], check=True)
    place = {"anywhere": tmp_path, "in the repository": logged.root, "in a clean clone": tmp_path / "clone"}[where]
    path = Path(process(LOAD, logged.store, logged.run_id, tmp_path / "fetched", cwd=place))
    assert path == tmp_path / "fetched" / "pit"
    assert content_digest(path) == logged.content


def test_mlflow_imports_it_and_nothing_else_of_this_package(tmp_path):
    modules = ["pipeline_tasks", "pipeline_tasks.lineage", "pipeline_tasks.lineage.dataset_source"]
    assert process(CHEAP, cwd=tmp_path) == str(modules)


def test_a_uri_is_resolved_and_comes_back_from_what_mlflow_keeps():
    source = resolve_dataset_source(URI)
    assert isinstance(source, DvcDatasetSource)
    assert (source.uri, source.files) == (URI, DvcFiles.parse(URI))
    assert json.loads(source.to_json()) == {"uri": URI}
    assert DvcDatasetSource.from_json(source.to_json()).uri == URI


@pytest.mark.parametrize("raw", ["dvcx://data", 5, None])
def test_other_sources_are_left_to_others(raw):
    with pytest.raises(MlflowException):
        resolve_dataset_source(raw, [DvcDatasetSource])


def test_a_uri_that_names_nothing_is_refused_when_it_is_loaded():
    with pytest.raises(ConfigError, match=r"^dvc://data/pairs: rev is '\(none\)', md5 is '\(none\)', repo is"):
        resolve_dataset_source("dvc://data/pairs").load()


def test_without_a_folder_it_is_a_new_temporary_one(logged):
    (data,) = MlflowClient(logged.store).get_run(logged.run_id).inputs.dataset_inputs
    source = DvcDatasetSource.from_json(data.dataset.source)
    first, second = Path(source.load()), Path(source.load())
    try:
        assert first != second
        assert content_digest(first) == content_digest(second) == logged.content
    finally:
        for path in (first, second):
            shutil.rmtree(path.parent)
