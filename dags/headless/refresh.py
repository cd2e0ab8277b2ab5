"""The commands: refresh the dataset, retrain the detectors or audit and wait for it, leave Airflow running, stop it."""

import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from dags.headless.api import AUDIT, DAGS, REFRESH, RETRAINING, NoAnswerError
from dags.headless.ending import tell_ending
from dags.headless.home import HeadlessError, Home, choose_port
from dags.headless.lifecycle import (
    Running,
    await_condition,
    check_services,
    exclusive,
    find_running,
    leave_running,
    start_airflow,
    start_mlflow,
    stop_airflow,
)
from dags.headless.screen import Screen
from dags.headless.services import let_go, stop_services
from dags.headless.watch import Watch
from pipeline_tasks.lineage.graph import load_graph
from pipeline_tasks.params import load_params

NAMES = {REFRESH: "a refresh", RETRAINING: "a retraining", AUDIT: "an audit"}
DOING = {REFRESH: "refreshing", RETRAINING: "retraining", AUDIT: "auditing"}
NO_SCHEDULES = {"DEFECTLINE_SCHEDULE": "none", "DEFECTLINE_AUDIT_SCHEDULE": "none"}


@dataclass(frozen=True)
class Order:
    """What to refresh: raw samples to catalog first, their layout and licence, one generator for all, how many parts of
    each defect's pairs; a profile.
    """

    data: str | None = None
    layout: str | None = None
    shared: bool = False
    profile: str | None = None
    licence: str | None = None
    parts: int | None = None


def refresh(home: Home, order: Order, port: int | None) -> bool:
    """Refresh the dataset as ordered, and return whether that succeeded.

    An Airflow left running by `up` is used; otherwise one is started, and stopped whatever happens.
    """
    return _carry_out(home, REFRESH, order, port)


def retrain(home: Home, port: int | None) -> bool:
    """Retrain the detectors on the champion data sets, and return whether that succeeded.

    An Airflow is found or started as for `refresh`.
    """
    return _carry_out(home, RETRAINING, Order(), port)


def audit(home: Home, port: int | None) -> bool:
    """Follow the lineage of every champion back to the raw samples, and return whether it is intact.

    An Airflow is found or started as for `refresh`.
    """
    return _carry_out(home, AUDIT, Order(), port)


def up(home: Home, port: int | None, mlflow_port: int | None) -> None:
    """Start Airflow with the schedules from now on, nightly and weekly, and MLflow's pages; leave them running."""
    with exclusive(home):
        running = find_running(home)
        if not running:
            stop_services(home)
            running = _start_both(home, port, mlflow_port)
    print(f"Airflow  {running.airflow.url}\nMLflow   {running.mlflow}\nstop them with `make down`")


def down(home: Home) -> None:
    """Stop what `up` left running, and what a killed launcher left behind."""
    with exclusive(home):
        stopped = stop_airflow(home)
    print(f"stopped {stopped} processes" if stopped else "nothing was running")


def _carry_out(home: Home, dag: str, order: Order, port: int | None) -> bool:
    with exclusive(home):
        if running := find_running(home):
            return _run_there(home, replace(running, airflow=running.airflow.for_dag(dag)), order)
        return _run_alone(home, choose_port(port), dag, order)


def _run_there(home: Home, running: Running, order: Order) -> bool:
    """Run a DAG on a running Airflow, which first reads the stage graph as it is now.

    Raises HeadlessError while any DAG runs: a refresh rewrites what the others read.
    """
    for dag, what in NAMES.items():
        if running.airflow.for_dag(dag).active_runs():
            raise HeadlessError(f"{what} is running already, see {running.airflow.url}; wait for it, or `make down`")
    digest, since = _take_stock(home, order), datetime.now(UTC)
    running.airflow.parse_again()
    await_condition(home, running, "DAG", lambda: running.airflow.has_parsed(digest, since))
    running.airflow.pause(False)
    return _run(home, running, Screen())


def _run_alone(home: Home, port: int, dag: str, order: Order) -> bool:
    """Run a DAG on an Airflow of its own, without a schedule; no other one runs."""
    screen = Screen()
    if left := stop_services(home):
        screen.line(f"stopped {left} processes that an earlier, killed run had left")
    digest = _take_stock(home, order)
    try:
        screen.line("starting Airflow")
        running = start_airflow(home, port, digest, (dag,), **NO_SCHEDULES)
        succeeded = _run(home, running, screen)
        let_go(home, running.services["scheduler"])  # the last lineage events are told after the run has ended
        return succeeded
    finally:
        screen.line("stopping Airflow")
        stop_services(home)


def _start_both(home: Home, port: int | None, mlflow_port: int | None) -> Running:
    own_port, own_mlflow_port = choose_port(port), choose_port(mlflow_port)
    digest, now = load_graph(home.root).digest, datetime.now(UTC).isoformat()
    try:
        airflow = start_airflow(home, own_port, digest, DAGS, DEFECTLINE_SCHEDULE_START=now)
        running = start_mlflow(home, airflow, own_mlflow_port)
        leave_running(home, running)
    except BaseException:
        stop_services(home)
        raise
    return running


def _take_stock(home: Home, order: Order) -> str:
    """Set the profile, check the parameters, write the catalog, and return the digest of the stage graph."""
    if order.profile is not None:
        _call(home, "profile", order.profile)
    load_params(home.root / "params.yaml")
    if order.data is not None:
        named = ["--layout", order.layout] if order.layout else []
        named += ["--licence", order.licence] if order.licence else []
        named += ["--parts", str(order.parts)] if order.parts else []
        _call(home, "catalog", order.data, *named, *(["--shared"] if order.shared else []))
    return load_graph(home.root).digest


def _call(home: Home, *command: str) -> None:
    """Run a command of defectline; exit if it fails: it has said why."""
    defectline = [sys.executable, "-m", "pipeline_tasks"]
    if status := subprocess.run([*defectline, *command], cwd=home.root, check=False).returncode:
        sys.exit(status)


def _run(home: Home, running: Running, screen: Screen) -> bool:
    """Run the DAG once, show it, and say how it ended. On an interruption, the run is marked as failed."""
    run = running.airflow.trigger()
    watch = Watch(home, running.airflow, run, screen)
    screen.line(f"{DOING[running.airflow.dag]}; Airflow's pages: {running.airflow.url}")
    try:
        succeeded = watch.until_done(lambda: check_services(home, running))
    except BaseException:
        with suppress(NoAnswerError):
            running.airflow.fail(run)
        raise
    tell_ending(home, running.airflow.dag, run, list(watch.tasks.values()), screen)
    return succeeded
