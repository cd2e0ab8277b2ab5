"""The pipeline that this repository's graph is compiled to."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from pipeline_tasks.lineage.graph import load_graph

pytestmark = pytest.mark.kubeflow
REPOSITORY = Path(__file__).parents[2]
GRAPH = load_graph(REPOSITORY)
STAGES = {stage.name: stage for stage in GRAPH.stages}
BEYOND = {"pin", "publish"}
SECRET = "store:AWS_ACCESS_KEY_ID,AWS_SECRET_ACCESS_KEY"


class Compiled(NamedTuple):
    """A pipeline's file: KFP's tasks and containers, and what its Kubernetes platform adds, by the tasks' names."""

    text: str
    spec: dict[str, Any]
    tasks: dict[str, dict[str, Any]]
    containers: dict[str, dict[str, Any]]
    pods: dict[str, dict[str, Any]]

    def upstream(self, name: str) -> set[str]:
        """Return the names of the tasks that a task waits for."""
        shown = {key: task["taskInfo"]["name"] for key, task in self.spec["root"]["dag"]["tasks"].items()}
        return {shown[key] for key in self.tasks[name].get("dependentTasks", [])}


def read(path: Path) -> Compiled:
    spec, platform = yaml.safe_load_all(path.read_text())
    tasks = {task["taskInfo"]["name"]: task for task in spec["root"]["dag"]["tasks"].values()}
    assert len(tasks) == len(spec["root"]["dag"]["tasks"])
    labels = {name: spec["components"][task["componentRef"]["name"]]["executorLabel"] for name, task in tasks.items()}
    containers, pods = spec["deploymentSpec"]["executors"], platform["platforms"]["kubernetes"]["deploymentSpec"]
    return Compiled(
        path.read_text(),
        spec,
        tasks,
        {name: containers[label]["container"] for name, label in labels.items()},
        {name: pods["executors"][label] for name, label in labels.items()},
    )


@pytest.fixture(scope="module")
def compiled(compile_graph, tmp_path_factory) -> Compiled:
    out = tmp_path_factory.mktemp("kubeflow") / "pipeline.yaml"
    options = ("--secret", SECRET, "--gpus", "2", "--gpu-node", "pool=gpu")
    assert compile_graph(REPOSITORY, out, *options) == f"{out}: {len(STAGES)} stages, and publish\n"
    return read(out)


def test_every_stage_is_one_task(compiled):
    assert set(compiled.tasks) == {*STAGES, *BEYOND}
    for name in STAGES:
        assert compiled.tasks[name]["inputs"]["parameters"]["stage"] == {"runtimeValue": {"constant": name}}


def test_edges_are_those_of_the_graph(compiled):
    for name, stage in STAGES.items():
        assert compiled.upstream(name) == {*stage.upstream, "pin"}
    assert compiled.upstream("publish") == {*(stage.name for stage in GRAPH.leaves), "pin"}
    assert compiled.upstream("pin") == set()


def test_every_step_takes_the_pinned_revision(compiled):
    pinned = {"taskOutputParameter": {"outputParameterKey": "Output", "producerTask": "pin"}}
    for name in {*STAGES, "publish"}:
        assert compiled.tasks[name]["inputs"]["parameters"]["revision"] == pinned


def test_the_name_of_the_run_is_the_jobs(compiled):
    """The back end fills a placeholder in only where it is a task's whole input, not as the pipeline's default."""
    for name in {*STAGES, "publish"}:
        given = compiled.tasks[name]["inputs"]["parameters"]
        assert given["job"] == {"runtimeValue": {"constant": "{{$.pipeline_job_uuid}}"}}
        assert given["run"] == {"componentInputParameter": "run"}


def test_parameters_have_the_compiled_defaults(compiled):
    parameters = compiled.spec["root"]["inputDefinitions"]["parameters"]
    assert {name: entry["defaultValue"] for name, entry in parameters.items()} == {
        "repository": "https://git.example.org/defects.git",
        "branch": "main",
        "revision": "",
        "run": "",
        "remote": "s3://bucket/dvc",
        "mlflow": "",
    }
    assert all(entry["description"] for entry in parameters.values())


def test_kfps_own_cache_is_off(compiled):
    assert {task["cachingOptions"].get("enableCache", False) for task in compiled.tasks.values()} == {False}


def test_stages_with_a_gpu_alone_get_gpus(compiled):
    assert any(stage.gpu for stage in STAGES.values())
    for name in compiled.tasks:
        container, pod = compiled.containers[name], compiled.pods[name]
        if name in STAGES and STAGES[name].gpu:
            asked = container["resources"]["accelerator"]
            assert (asked["resourceType"], asked["resourceCount"]) == ("nvidia.com/gpu", "2")
            assert pod["nodeSelector"] == {"labels": {"pool": "gpu"}}
            assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
            assert container["image"] == "registry.example.org/defectline-gpu:1"
        else:
            assert "accelerator" not in container["resources"]
            assert not {"nodeSelector", "tolerations"} & set(pod)
            assert container["image"] == "registry.example.org/defectline-cpu:1"


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_gets_what_its_meta_says(compiled, name):
    stage, asked, pod = STAGES[name], compiled.containers[name]["resources"], compiled.pods[name]
    assert asked["resourceCpuRequest"] == asked["resourceCpuLimit"] == str(stage.cpus)
    assert asked["resourceMemoryRequest"] == asked["resourceMemoryLimit"] == stage.memory
    assert pod["activeDeadlineSeconds"] == str(stage.timeout_minutes * 60)
    assert {"volumeName": "work", "mountPath": "/work", "sizeLimit": stage.disk} in pod["emptyDirMounts"]


def test_steps_are_retried_and_do_not_run_as_root(compiled):
    for name, task in compiled.tasks.items():
        assert task["retryPolicy"]["maxRetryCount"] == 2
        assert compiled.pods[name]["securityContext"] == {
            "runAsUser": "10001",
            "runAsGroup": "10001",
            "runAsNonRoot": True,
        }


def test_secrets_are_named_and_never_read(compile_graph, tmp_path, monkeypatch, compiled):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of nobody's concern")
    compile_graph(REPOSITORY, tmp_path / "pipeline.yaml", "--secret", SECRET, "--gpus", "2", "--gpu-node", "pool=gpu")
    assert "nobody's concern" not in (tmp_path / "pipeline.yaml").read_text()
    for pod in compiled.pods.values():
        (secret,) = pod["secretAsEnv"]
        keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        assert secret["keyToEnv"] == [{"secretKey": key, "envVar": key} for key in keys]
        assert secret["secretName"] == "store"


def test_compiled_again_it_is_equal_to_the_byte(compile_graph, tmp_path, compiled):
    again = tmp_path / "again.yaml"
    compile_graph(REPOSITORY, again, "--secret", SECRET, "--gpus", "2", "--gpu-node", "pool=gpu")
    assert again.read_text() == compiled.text


def test_pods_install_nothing(compiled):
    assert "pip install" not in compiled.text
    assert "pip install" not in " ".join(part for each in compiled.containers.values() for part in each["command"])


def test_of_kfp_an_image_needs_nothing_but_the_package_itself(compiled, tmp_path):
    """Neither what kfp depends on nor pip; the container's own command, with a Python that has kfp alone."""
    (tmp_path / "packages").mkdir()
    (installed,) = REPOSITORY.glob(".venv-kubeflow/lib/*/site-packages/kfp")
    (tmp_path / "packages/kfp").symlink_to(installed)
    python = tmp_path / "python3"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path / "packages"} exec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    given = {"repository": "file:///r", "branch": "main", "revision": "abc"}
    outputs = {"parameters": {"Output": {"outputFile": ""}}, "outputFile": str(tmp_path / "outputs.json")}
    asked = json.dumps({"inputs": {"parameterValues": given}, "outputs": outputs})
    container = compiled.containers["pin"]
    command = [part.replace("{{$}}", asked) for part in (*container["command"], *container["args"])]
    subprocess.run(command, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}, check=True)
    assert json.loads((tmp_path / "outputs.json").read_text()) == {"parameterValues": {"Output": "abc"}}
