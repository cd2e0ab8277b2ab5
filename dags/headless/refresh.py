"""The commands: refresh the dataset or retrain the detectors and wait for it, leave Airflow running, stop it."""

import json
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from textwrap import shorten

from dags.headless.api import DAGS, REFRESH, RETRAINING, NoAnswerError
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
from dags.headless.services import stop_services
from dags.headless.task_log import attempt_log, last_lines
from dags.headless.watch import Task, Watch
from pipeline_tasks.lineage.graph import load_graph
from pipeline_tasks.params import load_params

LOG_LINES = 15
NAMES = {REFRESH: "a refresh", RETRAINING: "a retraining"}
DOING = {REFRESH: "refreshing", RETRAINING: "retraining"}


@dataclass(frozen=True)
class Order:
    """What to refresh: raw samples to catalog first, in which layout, with one generator for all or not; a profile."""

    data: str | None = None
    layout: str | None = None
    shared: bool = False
    profile: str | None = None


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


def up(home: Home, port: int | None, mlflow_port: int | None) -> None:
    """Start Airflow, with the nightly schedule from now on and retraining after it, and MLflow's pages; leave them."""
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

    Raises HeadlessError while any DAG runs: a refresh rewrites what a retraining reads.
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
        return _run(home, start_airflow(home, port, digest, (dag,), DEFECTLINE_SCHEDULE="none"), screen)
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
    tasks = list(watch.tasks.values())
    if not succeeded:
        _report_failure(home, running.airflow.dag, run, tasks, screen)
    elif running.airflow.dag == REFRESH:
        _report_refresh(home.root, tasks, screen)
    else:
        print("\n".join(f"  {task.outcome}" for task in tasks))
    return succeeded


def _report_refresh(root: Path, tasks: list[Task], screen: Screen) -> None:
    count = Counter(task.outcome for task in tasks)
    if count["ran"] or count["restored"]:
        ran = f"{count['ran']} stages ran" if count["ran"] else "no stage was re-run"
        screen.line(f"{ran}, {count['restored']} restored from the run-cache, {count['unchanged']} unchanged")
    else:
        screen.line("nothing changed: no stage was re-run")
    latest = root / "reports" / "latest.json"
    if latest.exists():
        for name, value in json.loads(latest.read_text()).items():
            print(f"  {name:<12} {value}")
        print(f"  {'pages':<12} of Airflow and MLflow: make up")


def _report_failure(home: Home, dag: str, run: str, tasks: list[Task], screen: Screen) -> None:
    for task in tasks:
        if task.state == "failed":
            log = attempt_log(home.logs, dag, run, task.id)
            screen.line(f"{task.stage} failed; the end of its log:")
            print("\n".join(f"    {line}" for line in last_lines(log, LOG_LINES)))
            print(f"  whole log: {log}")
    waiting = [task.stage for task in tasks if task.state == "upstream_failed"]
    if waiting:
        print(f"  not run: {shorten(', '.join(waiting), 200, placeholder=' ...')}")
    print("  Correct the cause and run this again: finished stages are not repeated.")
