"""How a run ended, in a few lines: what came of it, or what failed, why, and what to do."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten

from dags.headless.api import AUDIT, REFRESH
from dags.headless.home import Home
from dags.headless.screen import Screen
from dags.headless.task_log import attempt_log, last_lines
from dags.headless.watch import Task

LOG_LINES = 15


def tell_ending(home: Home, dag: str, run: str, tasks: Sequence[Task], screen: Screen) -> None:
    """Tell what failed in a run; if nothing did, what a refresh changed. Of other DAGs, what each task came to."""
    failed = [task for task in tasks if task.state == "failed"]
    for task in failed:
        _tell_failure(task, attempt_log(home.logs, dag, run, task.id), screen)
    if dag != REFRESH:
        print("\n".join(f"  {task.stage:<32} {task.outcome}" for task in tasks if task.outcome))
    if failed:
        _tell_rest(dag, tasks)
    elif dag == REFRESH:
        _tell_refresh(home.root, tasks, screen)


def _tell_refresh(root: Path, tasks: Sequence[Task], screen: Screen) -> None:
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


def _tell_failure(task: Task, log: Path | None, screen: Screen) -> None:
    screen.line(f"{task.stage} failed; the end of its log:")
    print("\n".join(f"    {line}" for line in last_lines(log, LOG_LINES)))
    print(f"  whole log: {log}")


def _tell_rest(dag: str, tasks: Sequence[Task]) -> None:
    waiting = [task.stage for task in tasks if task.state == "upstream_failed"]
    if waiting:
        print(f"  not run: {shorten(', '.join(waiting), 200, placeholder=' ...')}")
    kept = "" if dag == AUDIT else ": finished stages are not repeated"
    print(f"  Correct the cause and run this again{kept}.")
