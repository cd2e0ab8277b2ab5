"""Follows a run while it lasts: a line per task started and finished, and what the running ones print."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dags.headless.api import Airflow, NoAnswerError
from dags.headless.home import Home
from dags.headless.screen import Screen
from dags.headless.task_log import attempt_log, last_printed

POLL_S = 1.0
QUIET_S = 15
"""Between two lines of a task's progress where there is no terminal to update one in place."""
PATIENCE_S = 120
"""How long the API may be silent before the run is given up: stages can keep a small machine busy."""


@dataclass
class Task:
    """One task of a run, as last seen."""

    id: str
    state: str | None = None
    outcome: str = ""
    """What its command printed last, once it has succeeded."""
    progress: str = ""
    """The last line its command has printed."""
    shown_at: float = 0

    @property
    def stage(self) -> str:
        """The stage's name as DVC has it: task 'generate.plate-pit' runs 'generate@plate-pit'."""
        return self.id.replace(".", "@", 1)


class Watch:
    """The tasks of one run, and the screen that shows them."""

    def __init__(self, home: Home, airflow: Airflow, run: str, screen: Screen) -> None:
        self.home, self.airflow, self.run, self.screen = home, airflow, run, screen
        self.tasks: dict[str, Task] = {}

    def until_done(self, check: Callable[[], None]) -> bool:
        """Show the run until it has ended, and return whether it succeeded. `check` may raise, to give up."""
        heard = time.monotonic()
        while True:
            check()
            try:
                state = self._look()
                heard = time.monotonic()
            except NoAnswerError:
                if time.monotonic() - heard > PATIENCE_S:
                    raise
                state = "unknown"
            if state in ("success", "failed"):
                self.screen.live("")
                return state == "success"
            self._show_progress()
            time.sleep(POLL_S)

    def _look(self) -> str:
        """Take note of every task's state, and return the run's."""
        state = self.airflow.state(self.run)
        for instance in sorted(self.airflow.tasks(self.run), key=lambda each: each["end_date"] or "9"):
            task = self.tasks.setdefault(instance["task_id"], Task(instance["task_id"]))
            if instance["state"] != task.state:
                self._show_change(task, instance)
        return state

    def _show_change(self, task: Task, instance: dict[str, Any]) -> None:
        state, seconds = instance["state"], instance["duration"] or 0
        if state == "running":
            task.shown_at = time.monotonic()
            self.screen.line(f"{task.stage:<32} started")
        elif state == "success":
            task.outcome = self.airflow.outcome(self.run, task.id)
            shown = task.outcome if task.outcome in ("ran", "restored", "unchanged") else "done"
            self.screen.line(f"{task.stage:<32} {shown:<10} {seconds:5.0f} s")
        elif state == "failed":
            self.screen.line(f"{task.stage:<32} {'FAILED':<10} {seconds:5.0f} s")
        elif state == "up_for_retry":
            self.screen.line(f"{task.stage:<32} crashed, will be tried again: {self._last_printed(task)}")
        task.state = state

    def _show_progress(self) -> None:
        """Show the last line that each running task has printed: live, or now and then where nothing can be live."""
        running = [task for task in self.tasks.values() if task.state == "running"]
        for task in running:
            task.progress = self._last_printed(task)
        done = sum(task.state == "success" for task in self.tasks.values())
        if self.screen.live(" | ".join([f"{done}/{len(self.tasks)}", *(f"{t.stage}: {t.progress}" for t in running)])):
            return
        for task in running:
            if task.progress and time.monotonic() - task.shown_at > QUIET_S:
                task.shown_at = time.monotonic()
                self.screen.line(f"{task.stage:<32} {task.progress}")

    def _last_printed(self, task: Task) -> str:
        """Return the last line of a task's command; of a progress bar the figures, without the bar."""
        printed = last_printed(attempt_log(self.home.logs, self.airflow.dag, self.run, task.id))
        return " ".join(re.sub(r"\|[^|]*\|", " ", printed).split())
