import json
import os
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dags.headless.api import Airflow
from dags.headless.home import HeadlessError, Home, choose_port
from dags.headless.lifecycle import Running, check_services, exclusive, find_running, leave_running
from dags.headless.services import is_alive, let_go, live_processes, start_service, stop_services
from dags.headless.task_log import attempt_log, last_lines, last_printed
from pipeline_tasks.errors import ConfigError


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "a repository")
    home.service_log("x").parent.mkdir(parents=True)
    yield home
    stop_services(home)


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_services_and_what_they_start_are_found_and_stopped(home, tmp_path):
    other = Home(tmp_path / "another repository")
    other.service_log("x").parent.mkdir(parents=True)
    script = "import subprocess, setproctitle; setproctitle.setproctitle('retitled'); subprocess.run(['sleep', '987'])"
    (home.root / "parent.py").write_text(script)
    service = start_service(home, "x", "parent")
    bystander = start_service(other, "x", "timeit", "-n1", "-r1", "import time; time.sleep(987)")
    try:
        wait_for(lambda: len(list(live_processes(home))) == 2)
        assert is_alive(home, service)
        assert not is_alive(home, bystander)
        assert not is_alive(home, os.getpid())
        assert stop_services(home) == 2
        assert not is_alive(home, service)
        assert is_alive(other, bystander)
    finally:
        stop_services(other)
    assert stop_services(home) == 0


def test_a_process_that_ignores_the_request_is_killed(home, monkeypatch):
    monkeypatch.setattr("dags.headless.services.GRACE_S", 0.2)
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(987)"
    (home.root / "stubborn.py").write_text(f"import signal, time; {deaf}")
    service = start_service(home, "x", "stubborn")
    wait_for(lambda: "deaf" in home.service_log("x").read_text())
    stop_services(home)
    assert not is_alive(home, service)


def test_a_service_that_died_is_named_with_the_end_of_its_log(home):
    (home.root / "mortal.py").write_text("raise SystemExit('out of luck')")
    service = start_service(home, "mortal", "mortal")
    wait_for(lambda: not is_alive(home, service))
    with pytest.raises(HeadlessError, match=r"(?s)mortal has stopped unexpectedly.*out of luck"):
        check_services(home, Running(Airflow(1), {"mortal": service}))


def test_one_launcher_at_a_time(home):
    with exclusive(home):
        other = "from pathlib import Path; from dags.headless.home import Home; from dags.headless.refresh import down;"
        command = [sys.executable, "-c", f"{other} down(Home(Path({str(home.root)!r})))"]
        refused = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
        assert f"process {os.getpid()} is refreshing" in refused.stderr
    with exclusive(home):
        pass


def test_what_was_left_running_is_only_trusted_while_it_lives(home):
    assert find_running(home) is None
    leave_running(home, Running(Airflow(1), {"api-server": os.getpid()}))
    assert find_running(home) is None, "this process is none of its services"
    home.state.write_text("{")
    assert find_running(home) is None


def test_a_requested_port_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} .*in use"):
            choose_port(port)
        assert choose_port(None) != port
    assert choose_port(port) == port


def test_secrets_are_random_private_and_kept(home, monkeypatch):
    monkeypatch.setattr(Home, "_migrate", lambda _: None)
    monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", "99")
    home.prepare(4711)
    files = [home.folder / "secrets.json", home.folder / "airflow.cfg"]
    first = [file.read_text() for file in files]
    assert [stat.S_IMODE(file.stat().st_mode) for file in [home.folder, *files]] == [0o700, 0o600, 0o600]
    home.prepare(4711)
    assert [file.read_text() for file in files] == first
    other = Home(home.root / "other")
    other.root.mkdir()
    other.prepare(4711)
    assert (other.folder / "secrets.json").read_text() != first[0]
    assert "AIRFLOW__CORE__PARALLELISM" not in home.environment()


@pytest.fixture
def lineage(home, monkeypatch, tmp_path):
    """Returns the OpenLineage settings of the services, given those of the caller."""
    for name in [name for name in os.environ if "OPENLINEAGE" in name]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))

    def settings(**variables):
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            found = home.environment()
        return {name.removeprefix("AIRFLOW__OPENLINEAGE__"): found[name] for name in found if "OPENLINEAGE" in name}

    return settings


def test_lineage_events_go_to_a_file_unless_the_user_says_where(home, lineage, tmp_path):
    rest = {"NAMESPACE": "defectline", "EXECUTE_IN_THREAD": "True", "EXECUTION_TIMEOUT": "5"}
    transport = {"type": "file", "log_file_path": str(home.folder / "openlineage.jsonl"), "append": True}
    found = lineage()
    assert (json.loads(found.pop("TRANSPORT")), found) == (transport, rest)
    assert json.loads(lineage(OPENLINEAGE_URL="")["TRANSPORT"]) == transport
    for name in ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE__TRANSPORT__TYPE"):
        assert lineage(**{name: "theirs"}) == {**rest, name: "theirs"}
    for name in ("TRANSPORT", "CONFIG_PATH", "CONFIG_CONN_ID", "TRANSPORT_CMD"):
        assert lineage(**{f"AIRFLOW__OPENLINEAGE__{name}": "theirs"}) == {**rest, name: "theirs"}
    (tmp_path / ".openlineage").mkdir()
    for folder in (tmp_path / ".openlineage", home.root):
        (folder / "openlineage.yml").touch()
        assert lineage() == {**rest, "CONFIG_PATH": str(folder / "openlineage.yml")}


def test_what_else_the_user_sets_of_openlineage_is_kept(lineage):
    theirs = {"NAMESPACE": "plant_7", "EXECUTION_TIMEOUT": "20", "DISABLED": "True"}
    found = lineage(**{f"AIRFLOW__OPENLINEAGE__{name}": value for name, value in theirs.items()})
    assert found.items() >= theirs.items()
    assert "NAMESPACE" not in lineage(OPENLINEAGE_NAMESPACE="plant_7")
    assert lineage(DEFECTLINE_NAMESPACE="plant_7")["NAMESPACE"] == "plant_7"


def test_a_service_that_is_let_go_ends_what_it_has_begun(home):
    begun = "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), print('done', flush=True), sys.exit()))"
    script = f"import signal, sys, time; {begun}; print('ready', flush=True); time.sleep(987)"
    (home.root / "orderly.py").write_text(script)
    service = start_service(home, "x", "orderly")
    wait_for(lambda: "ready" in home.service_log("x").read_text())
    let_go(home, os.getpid())  # none of its services
    let_go(home, service)
    assert "done" in home.service_log("x").read_text() and not is_alive(home, service)


def test_the_words_of_a_command_are_told_from_airflows(tmp_path):
    folder = tmp_path / "dag_id=dataset_refresh" / "run_id=r" / "task_id=train.plate"
    folder.mkdir(parents=True)
    assert attempt_log(tmp_path, "dataset_refresh", "r", "train.plate") is None
    command = '{"logger": "airflow.task.hooks.SubprocessHook", "event": "%s"}\n'
    lines = ["Output:", "one", " 20%|##   | 2/10", "", "Command exited with return code 0"]
    around = '{"logger": "task", "event": "Task finished"}\n{"logger": "cut sho'
    (folder / "attempt=2.log").write_text("".join(command % line for line in lines) + around)
    (folder / "attempt=10.log").write_text('{"logger": "task", "event": "could not start"}\n')
    log = attempt_log(tmp_path, "dataset_refresh", "r", "train.plate")
    assert (last_printed(log), last_lines(log, 5)) == ("", ["could not start"])
    (folder / "attempt=10.log").unlink()
    log = attempt_log(tmp_path, "dataset_refresh", "r", "train.plate")
    assert (last_printed(log), last_lines(log, 5)) == (" 20%|##   | 2/10", ["one", " 20%|##   | 2/10"])
