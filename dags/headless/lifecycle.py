"""Starting, finding again and stopping the embedded Airflow."""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path

from dags.headless.api import DAGS, Airflow, NoAnswerError
from dags.headless.home import HeadlessError, Home
from dags.headless.services import is_alive, start_service, stop_services

READY_S = 120
"""How long a service may take to become ready."""


@dataclass(frozen=True)
class Running:
    """A started Airflow."""

    airflow: Airflow
    services: dict[str, int]
    """Process ids by name."""
    mlflow: str | None = None
    """Where MLflow's pages are."""


@contextmanager
def exclusive(home: Home) -> Iterator[None]:
    """Hold this home for one launcher. Raises HeadlessError if another one, alive, holds it."""
    home.folder.mkdir(exist_ok=True)
    with (home.folder / "launcher.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise HeadlessError(
                f"process {lock.read() or '?'} is refreshing, starting or stopping this repository already; "
                "wait for it, or stop it with Ctrl-C where it runs"
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def find_running(home: Home) -> Running | None:
    """Return the Airflow that `up` left running, if all of it is alive."""
    try:
        state = json.loads(home.state.read_text())
    except (OSError, ValueError):
        return None
    running = Running(Airflow(state["port"]), state["services"], state["mlflow"])
    alive = all(is_alive(home, process) for process in running.services.values())
    return running if alive and running.airflow.answers() else None


def start_airflow(home: Home, port: int, digest: str, dags: Sequence[str], **environment: str) -> Running:
    """Start Airflow and return when it has parsed `dags`, for the stage graph with this digest, and can run them.

    Other DAGs are paused; the first of these is the one that what is returned speaks of. What a killed launcher left
    behind is stopped first; its unfinished runs are failed before the scheduler sees them.
    """
    stop_services(home)
    home.state.unlink(missing_ok=True)
    since = datetime.now(UTC)
    home.prepare(port)
    running = Running(Airflow(port, dags[0]), {})

    def start(name: str, *options: str) -> None:
        running.services[name] = start_service(home, name, "airflow", name, *options, **environment)

    start("api-server")
    start("dag-processor")
    await_condition(home, running, "API server", running.airflow.answers)
    _quiesce(running)
    start("scheduler", "--skip-serve-logs")
    running.airflow.warm_up()
    running.airflow.provide_pool("gpu", slots=_heavy_slots())
    clients = [running.airflow.for_dag(dag) for dag in dags]
    await_condition(home, running, "DAG", lambda: all(client.has_parsed(digest, since) for client in clients))
    await_condition(home, running, "scheduler", running.airflow.schedules)
    for client in clients:
        client.pause(False)
    return running


def _quiesce(running: Running) -> None:
    """Let no DAG run, until it is resumed."""
    for dag in DAGS:
        running.airflow.for_dag(dag).quiesce()


def _heavy_slots() -> int:
    """Return the size of the `gpu` pool: two slots, as most stages take, for each GPU; without one, the cores."""
    gpus = len(list(Path("/dev").glob("nvidia[0-9]*")))
    return 2 * gpus or max(2, os.cpu_count() or 2)


def start_mlflow(home: Home, running: Running, port: int) -> Running:
    """Start MLflow's pages on the embedded store, unless MLFLOW_TRACKING_URI says that another one is used."""
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return Running(running.airflow, running.services, "where MLFLOW_TRACKING_URI says")
    (home.root / ".mlflow").mkdir(exist_ok=True)
    address = ("--host", "127.0.0.1", "--port", str(port), "--workers", "1")
    stores = ("--backend-store-uri", "sqlite:///.mlflow/mlflow.db", "--artifacts-destination", ".mlflow/artifacts")
    switches = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    server = start_service(home, "mlflow", "mlflow", "server", *address, *stores, **switches)
    started = Running(running.airflow, running.services | {"mlflow": server}, f"http://127.0.0.1:{port}")
    await_condition(home, started, "MLflow server", lambda: _is_healthy(port))
    return started


def leave_running(home: Home, running: Running) -> None:
    """Note what is running, for `find_running`."""
    state = {"port": running.airflow.port, "services": running.services, "mlflow": running.mlflow}
    home.state.write_text(json.dumps(state))


def stop_airflow(home: Home) -> int:
    """Fail the unfinished runs of a running Airflow and stop it; return the number of processes stopped."""
    if running := find_running(home):
        with suppress(NoAnswerError):
            _quiesce(running)
    stopped = stop_services(home)
    home.state.unlink(missing_ok=True)
    return stopped


def check_services(home: Home, running: Running) -> None:
    """Raise HeadlessError if a service has died."""
    for name, process in running.services.items():
        if not is_alive(home, process):
            log = home.service_log(name)
            end = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise HeadlessError(f"{name} has stopped unexpectedly; the end of {log}:\n{end}")


def await_condition(home: Home, running: Running, what: str, condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds. Raises HeadlessError after READY_S, or when a service has died."""
    deadline = time.monotonic() + READY_S
    while True:
        check_services(home, running)
        with suppress(NoAnswerError):
            if condition():
                return
        if time.monotonic() > deadline:
            raise HeadlessError(f"{what}: not ready after {READY_S} s; see {home.service_log('*')}")
        time.sleep(0.2)


def _is_healthy(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()
