"""The DAGs as pods: this repository's own graph, and the pod that each task asks for."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from dags.pod_settings import TEMPORARY
from pipeline_tasks.lineage.graph import load_graph
from pipeline_tasks.lineage.stage_image import SHARED_MEMORY, WORKPLACE

REPOSITORY = Path(__file__).parents[2]
EXAMPLE = REPOSITORY / "containers" / "kubernetes" / "pods.yaml"
SETTINGS = yaml.safe_load(EXAMPLE.read_text())
REVISION, RUN = "0123456789abcdef0123456789abcdef01234567", "it's by hand: $(AWS_SECRET_ACCESS_KEY) {{ run_id }}"
PIPELINE = ("dvc.yaml", "params.yaml", "catalog.yaml", ".dvc/config")
LONG = "P" + "_" * 62 + "9"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """This repository's pipeline with one more product, of a long name; nothing can be written to .work/ there."""
    root = tmp_path_factory.mktemp("checkout")
    for name in PIPELINE:
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / name, root / name)
    catalog = yaml.safe_load((root / "catalog.yaml").read_text())
    catalog["products"][LONG] = {"path": "/raw/long", "layout": "mvtec"}
    own = {"product": LONG, "source": LONG, "defect": LONG}
    catalog["defects"][f"{LONG}-{LONG}"] = {**catalog["defects"]["plate-pit"], **own}
    (root / "catalog.yaml").write_text(yaml.safe_dump(catalog, sort_keys=False))
    (root / ".work").touch()
    return root


@pytest.fixture(scope="module")
def temporary(tmp_path_factory):
    return str(tmp_path_factory.mktemp("temporary"))


@pytest.fixture(scope="module")
def local(airflow, checkout, temporary):
    return json.loads(airflow("describe_dags.py", checkout, TMPDIR=temporary))


@pytest.fixture(scope="module")
def clustered(airflow, checkout, temporary):
    return json.loads(airflow("describe_dags.py", checkout, TMPDIR=temporary, DEFECTLINE_PODS=str(EXAMPLE)))


@pytest.fixture(scope="module")
def pods(airflow, checkout, temporary):
    """What the API server is asked for, by DAG and task."""
    found = airflow("describe_pods.py", checkout, REVISION, RUN, TMPDIR=temporary, DEFECTLINE_PODS=str(EXAMPLE))
    assert json.loads(found)["errors"] == {}
    return json.loads(found)["pods"]


@pytest.fixture(scope="module")
def every(pods):
    """All pods; a task's names no other's."""
    return {task: pod for of_dag in pods.values() for task, pod in of_dag.items()}


@pytest.fixture
def graph(checkout, temporary, local, monkeypatch):
    """As the parse of the DAGs has left it among the temporary files."""
    monkeypatch.setattr("tempfile.tempdir", temporary)
    return load_graph(checkout)


def container(pod: dict) -> dict:
    """Return the only one."""
    [found] = pod["spec"]["containers"]
    return found


def test_the_switch_changes_where_tasks_run_and_nothing_else(local, clustered):
    for found in (local, clustered):
        assert (found["errors"], found["warnings"], found["files"]) == ({}, {}, 3)
    for dag_id, dag in local["dags"].items():
        tasks = dict(clustered["dags"][dag_id]["tasks"])
        pin = tasks.pop("pin")
        assert tasks.keys() == dag["tasks"].keys() and (pin["upstream"], pin["pool"]) == ([], "default_pool")
        for task_id, task in dag["tasks"].items():
            told = tasks[task_id]
            assert set(told["upstream"]) - {"pin"} == set(task["upstream"])
            assert ("pin" in told["upstream"]) == (not task["upstream"]), "all that come first wait for it"
            same = task.keys() - {"command", "upstream", "timeout_s", "retry_delay_s", "pool_slots"}
            assert {key: told[key] for key in same} == {key: task[key] for key in same}


def test_kubernetes_is_imported_for_pods_alone(local, clustered):
    assert "kubernetes" not in local["imported"] and "kubernetes" in clustered["imported"]
    assert all(task["command"] for task in local["dags"]["dataset_refresh"]["tasks"].values())


def test_nothing_was_written_to_the_checkout(checkout, local, clustered, pods):
    files = {str(path.relative_to(checkout)) for path in checkout.rglob("*")}
    assert files == {*PIPELINE, ".dvc", ".work"} and (checkout / ".work").read_text() == ""


def test_every_pod_is_what_kubernetes_expects(pods, graph):
    products = ["plate", LONG]
    tasks = {name: set(of_dag) for name, of_dag in pods.items()}
    assert tasks == {
        "dataset_refresh": {*(stage.name.replace("@", ".") for stage in graph.stages), "publish"},
        "detector_retraining": {f"retrain.{product}" for product in products},
        "lineage_audit": {f"audit.{product}" for product in products},
    }
    every = [pod for of_dag in pods.values() for pod in of_dag.values()]
    for pod in every:
        kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", pod["metadata"]["name"])
        assert all(re.fullmatch(r"(\w([\w.-]{0,61}\w)?)?", label) for label in pod["metadata"]["labels"].values())
    assert len({pod["metadata"]["name"] for pod in every}) == len(every)


def test_a_stage_gets_what_dvc_yaml_says_it_needs(pods, graph):
    for stage in graph.stages:
        pod = pods["dataset_refresh"][stage.name.replace("@", ".")]
        resources = container(pod)["resources"]
        amounts = {"cpu": str(stage.cpus), "memory": stage.memory, "ephemeral-storage": stage.disk}
        assert resources["limits"] == resources["requests"] == amounts | ({"nvidia.com/gpu": "1"} if stage.gpu else {})
        assert container(pod)["image"] == SETTINGS["images"]["gpu" if stage.gpu else "cpu"]
        nodes = SETTINGS["gpu" if stage.gpu else "cpu"]
        assert pod["spec"].get("nodeSelector", {}) == nodes["node_selector"]
        assert pod["spec"]["tolerations"] == nodes["tolerations"]
        assert pod["spec"]["activeDeadlineSeconds"] == (stage.timeout_minutes + SETTINGS["start_minutes"]) * 60
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        assert volumes["work"] == {"name": "work", "emptyDir": {"sizeLimit": stage.disk}}
        assert ("shared-memory" in volumes) == stage.gpu
    assert {stage.gpu for stage in graph.stages} == {True, False}


def test_airflow_waits_longer_than_the_cluster_lets_a_pod_run(clustered, pods):
    for dag_id, of_dag in pods.items():
        for task_id, pod in of_dag.items():
            spec, waiting = pod["spec"], SETTINGS["start_minutes"] * 60
            allowed = waiting + spec["activeDeadlineSeconds"] + spec["terminationGracePeriodSeconds"]
            assert clustered["dags"][dag_id]["tasks"][task_id]["timeout_s"] >= allowed


def test_a_slot_of_the_pool_is_a_gpu(airflow, checkout, temporary, tmp_path):
    (tmp_path / "pods.yaml").write_text(yaml.safe_dump({**SETTINGS, "gpu": {**SETTINGS["gpu"], "count": 3}}))
    settings = str(tmp_path / "pods.yaml")
    dags = json.loads(airflow("describe_dags.py", checkout, TMPDIR=temporary, DEFECTLINE_PODS=settings))["dags"]
    tasks = [task for dag in dags.values() for task in dag["tasks"].values()]
    assert {(task["pool"], task["pool_slots"]) for task in tasks} == {("gpu", 3), ("default_pool", 1)}


def test_pin_waits_minutes_for_the_checkout_to_follow_a_push(clustered):
    for dag in clustered["dags"].values():
        pin = dag["tasks"]["pin"]
        assert pin["retries"] * pin["retry_delay_s"] >= 300 and not pin["backoff"]


def test_the_command_has_the_pinned_revision_and_the_run_and_no_shell(pods, graph):
    run = RUN.replace("$", "$$")
    node = [SETTINGS["repository"], REVISION, "--"]
    for stage in graph.stages:
        told = container(pods["dataset_refresh"][stage.name.replace("@", ".")])
        assert told["args"] == ["node", *node, "repro", stage.name, "--run", run] and not told["command"]
    publish = container(pods["dataset_refresh"]["publish"])
    assert publish["args"] == ["node", *node, "publish", "--run", run, "--branch", "main"]
    retrain, audit = pods["detector_retraining"]["retrain.plate"], pods["lineage_audit"]["audit.plate"]
    assert container(retrain)["args"] == ["node", "--pull", *node, "retrain", "--product", "plate"]
    assert container(audit)["args"] == ["node", *node, "audit", "champion", "--product", "plate"], "it reads the remote"
    for pod in (retrain, audit):
        assert container(pod)["resources"]["limits"]["ephemeral-storage"] == SETTINGS["whole"]["disk"]


def test_a_pod_may_do_nothing_but_its_work(every):
    for pod in every.values():
        spec = pod["spec"]
        assert (spec["serviceAccountName"], spec["automountServiceAccountToken"]) == ("defectline-stage", False)
        assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["runAsUser"] == 10001
        assert spec["securityContext"]["fsGroup"] == 10001
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        confined = container(pod)["securityContext"]
        assert confined["readOnlyRootFilesystem"] and not confined["allowPrivilegeEscalation"]
        assert confined["capabilities"] == {"drop": ["ALL"]} and "privileged" not in confined
        assert container(pod)["workingDir"] == WORKPLACE
        assert not spec["hostNetwork"] and spec["restartPolicy"] == "Never"
        assert not any("hostPath" in volume for volume in spec["volumes"])
        writable = {m["mountPath"] for m in container(pod)["volumeMounts"] if not m["readOnly"]}
        assert writable - {SHARED_MEMORY} == {WORKPLACE, TEMPORARY}
        assert {"name": "raw-0", "mountPath": "/raw", "readOnly": True} in container(pod)["volumeMounts"]


def test_secrets_are_named_and_never_told(every):
    for pod in every.values():
        secrets = [source["secretRef"]["name"] for source in container(pod)["envFrom"]]
        assert secrets == ["defectline-s3", "defectline-git"]
        variables = {variable["name"]: variable["value"] for variable in container(pod)["env"]}
        assert variables.items() >= SETTINGS["env"].items()
        assert not [name for name in variables if re.search("PASSWORD|SECRET|TOKEN|ACCESS", name)]
        assert (variables["HOME"], variables["DEFECTLINE_REMOTE"]) == ("/work", SETTINGS["remote"])
        assert variables["GIT_CONFIG_KEY_0"] == "credential.helper"


def test_a_pod_that_is_stopped_has_time_and_one_that_fails_tells_why(every):
    for pod in every.values():
        assert pod["spec"]["terminationGracePeriodSeconds"] == 120
        assert container(pod)["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_labels_tell_whose_a_pod_is(every):
    labels = every["generate.plate-pit"]["metadata"]["labels"]
    told = {"dag_id": "dataset_refresh", "defectline/stage": "generate", "defectline/product": "plate"}
    assert labels.items() >= {**told, "defectline/item": "plate-pit", "app.kubernetes.io/name": "defectline"}.items()
    retrained = every["retrain.plate"]["metadata"]["labels"]
    assert (retrained["defectline/stage"], retrained["defectline/product"]) == ("retrain", "plate")


def test_git_asks_the_environment_for_its_password(every, tmp_path):
    variables = {v["name"]: v["value"] for v in container(every["publish"])["env"] if v["name"].startswith("GIT_")}
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "GIT_USERNAME": "me",
        "GIT_PASSWORD": "it's $2 a `go`",
    }
    asked = "protocol=https\nhost=git.example.org\n\n"
    command = ["git", "credential", "fill"]
    told = subprocess.run(
        command, input=asked, env={**environment, **variables}, capture_output=True, text=True, check=True
    )
    assert told.stdout.splitlines()[-2:] == ["username=me", "password=it's $2 a `go`"]


def test_wrong_settings_are_an_import_error_that_names_them(airflow, checkout, temporary, tmp_path):
    (tmp_path / "pods.yaml").write_text("namespace: a\n")
    found = json.loads(
        airflow("describe_dags.py", checkout, TMPDIR=temporary, DEFECTLINE_PODS=str(tmp_path / "pods.yaml"))
    )
    assert found["dags"] == {} and len(found["errors"]) == 3
    assert all("pods.yaml: service_account: missing" in error for error in found["errors"].values())
