"""containers/kubernetes/airflow-values.yaml: what Airflow's Helm chart takes, with what the DAGs need."""

import json
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "containers" / "kubernetes"
SCHEMA = json.loads(Path(__file__).with_name("airflow-values.schema.json").read_text())
VALUES: dict[str, Any] = yaml.safe_load((FOLDER / "airflow-values.yaml").read_text())
COMPONENTS = ("apiServer", "dagProcessor", "scheduler", "triggerer", "migrateDatabaseJob", "statsd")


def test_values_are_the_charts() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    errors = list(jsonschema.Draft7Validator(SCHEMA).iter_errors(VALUES))
    assert [f"{error.json_path}: {error.message}" for error in errors] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("scheduler", {"replica": 1}),
        ("executor", "LocalExectuor"),
        ("env", [{"name": "X", "valueFrom": {}}]),
        ("scheduller", {}),
    ],
)
def test_schema_refuses_what_the_chart_would_pass_over_or_refuse(path: str, value: Any) -> None:
    assert not jsonschema.Draft7Validator(SCHEMA).is_valid(VALUES | {path: value})


@pytest.mark.parametrize("component", COMPONENTS)
def test_component_has_limits_of_memory(component: str) -> None:
    resources = VALUES[component]["resources"]
    assert resources["limits"]["memory"] == resources["requests"]["memory"]


def test_pods_are_as_restricted_as_their_namespace_asks() -> None:
    pod, container = VALUES["securityContexts"]["pod"], VALUES["securityContexts"]["containers"]
    assert pod["runAsNonRoot"]
    assert (pod["runAsUser"], pod["runAsGroup"]) == (VALUES["uid"], VALUES["gid"]) == (50000, 0)
    for each in (
        container,
        VALUES["statsd"]["securityContexts"]["container"],
        VALUES["dags"]["gitSync"]["securityContexts"]["container"],
    ):
        assert each["allowPrivilegeEscalation"] is False
        assert each["capabilities"] == {"drop": ["ALL"]}


def test_database_and_keys_come_from_secrets() -> None:
    assert VALUES["data"] == {"metadataSecretName": "airflow-metadata"}
    assert not {"fernetKey", "apiSecretKey", "jwtSecret", "extraSecrets"} & VALUES.keys()
    assert not any(VALUES[name]["enabled"] for name in ("postgresql", "redis", "pgbouncer"))


def test_dags_code_and_settings_of_pods_are_those_of_the_synchronised_repository() -> None:
    env = {each["name"]: each["value"] for each in VALUES["env"]}
    repository, sync = Path("/opt/airflow/dags/repo"), VALUES["dags"]["gitSync"]
    assert Path(env["PYTHONPATH"]) == repository
    assert FOLDER.parents[1] / Path(env["DEFECTLINE_PODS"]).relative_to(repository) == FOLDER / "pods.yaml"
    assert (sync["enabled"], sync["subPath"], sync["ref"]) == (True, "dags", sync["branch"])
    pods = yaml.safe_load((FOLDER / "pods.yaml").read_text())
    assert (pods["repository"], pods["branch"]) == (sync["repo"], sync["branch"])


@pytest.mark.parametrize("pool", ["gpu", "default_pool"])
def test_pools_of_the_dags_count_pods_that_are_waited_for(pool: str) -> None:
    steps = [shlex.split(step) for step in VALUES["migrateDatabaseJob"]["args"][-1].split("&&")]
    assert steps[0] == ["airflow", "db", "migrate"]
    [made] = [step for step in steps if step[:4] == ["airflow", "pools", "set", pool]]
    assert made[4].isdecimal() and made[-1] == "--include-deferred"


def test_waiting_for_pods_takes_triggerers_not_tasks() -> None:
    assert VALUES["executor"] == "LocalExecutor"
    assert VALUES["triggerer"]["enabled"]
