"""containers/compose.yaml: one server, without a secret in it, every service of which can be seen to be well."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

CONTAINERS = Path(__file__).parents[2] / "containers"
TEXT = (CONTAINERS / "compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
JOBS = {"airflow-setup", "workspace", "buckets"}
EXAMPLE = dict(
    line.split("=", 1) for line in (CONTAINERS / ".env.example").read_text().splitlines() if re.match(r"[A-Z]", line)
)
SECRET = re.compile(r"PASSWORD|SECRET|FERNET|ADMIN")
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(:?[-?])?([^}]*)\}")


def settings() -> list[tuple[str, str, str]]:
    return [(name, key, str(value)) for name, s in SERVICES.items() for key, value in s.get("environment", {}).items()]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_service_is_checked_or_is_a_job_that_ends(name: str) -> None:
    service = SERVICES[name]
    if name in JOBS:
        assert service["healthcheck"] == {"disable": True}
        assert service["restart"] == "on-failure"
    else:
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
        assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_service_has_no_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    if "build" in service:
        assert service["read_only"]
        assert service["user"].startswith("${DEFECTLINE_UID:?")


def test_service_waits_for_health_or_success_of_what_it_needs() -> None:
    for service in SERVICES.values():
        for needed, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_completed_successfully" if needed in JOBS else "service_healthy"}


def test_images_are_pinned() -> None:
    for name, service in SERVICES.items():
        tag = VARIABLE.sub(lambda match: match[3], service["image"]).rpartition(":")[2]
        assert re.fullmatch(r"v?\d+\.\d+[\w.-]*", tag), f"{name}: {service['image']}"


def test_secrets_have_no_value_here_and_must_be_given() -> None:
    for service, key, value in settings():
        if SECRET.search(key) and not key.endswith(("_USERS", "_FILE")):
            name, how, _ = VARIABLE.findall(value)[0]
            assert how == ":?", f"{service}: {key}"
            assert EXAMPLE[name] == "", f"{name} has a value in .env.example"


def test_urls_hold_no_password_of_their_own() -> None:
    for service, key, value in settings():
        assert not re.search(r"://\w+:(?!\$\{)[^@]*@", value), f"{service}: {key}"


def test_every_variable_is_in_the_example_and_the_other_way_round() -> None:
    assert {name for name, _, _ in VARIABLE.findall(TEXT)} == EXAMPLE.keys()


def test_defaults_are_those_of_the_example() -> None:
    for name, how, default in VARIABLE.findall(TEXT):
        assert EXAMPLE[name] == (default if how.endswith("-") else ""), name


def test_env_file_is_kept_out_of_git() -> None:
    assert ".env" in (CONTAINERS / ".gitignore").read_text().split()


def test_pages_are_for_this_machine_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_state_is_in_named_volumes() -> None:
    used = {v.partition(":")[0] for s in SERVICES.values() for v in s.get("volumes", []) if not v.startswith("$")}
    assert used == COMPOSE["volumes"].keys()


def test_airflow_services_share_their_secrets_and_run_the_checkouts_code() -> None:
    airflow = [SERVICES[name]["environment"] for name in ("api-server", "scheduler", "dag-processor", "triggerer")]
    for key in ("AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API__SECRET_KEY"):
        assert len({each[key] for each in airflow}) == 1
    assert {(each["PYTHONPATH"], each["DEFECTLINE_ROOT"]) for each in airflow} == {("/repository", "/repository")}


def test_gpus_are_given_to_a_service_that_there_is() -> None:
    extra = yaml.safe_load((CONTAINERS / "compose.gpu.yaml").read_text())
    assert extra["services"].keys() == {"scheduler"}
