"""Airflow's tasks: a command of `defectline` each, and those of the neutral stage graph, grouped as in dvc.yaml."""

import os
import shlex
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lineage_events
from airflow.providers.standard.hooks.subprocess import SubprocessHook
from airflow.sdk import BaseOperator, TaskGroup
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from pipeline_tasks.errors import without_secrets
from pipeline_tasks.lineage.graph import Graph, Stage

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from pods import Pods

REFUSED = 1
"""Exit status of `defectline` after an error it explains: bad input, a failed gate."""

RETRIES = {
    "retries": 2,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
}


class LineageOperator(BaseOperator):
    """Tells OpenLineage, where that is set up, which data its task reads and makes.

    reads, makes: paths in the repository at `root`, or other names of datasets; the Assets of inlets and outlets, whose
    scheme OpenLineage does not know, are added to them.
    """

    def __init__(self, *, root: Path, reads: Iterable[str] = (), makes: Iterable[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.root = str(root)
        self.reads = [*reads, *map(lineage_events.asset_name, self.inlets)]
        self.makes = [*makes, *map(lineage_events.asset_name, self.outlets)]

    def get_openlineage_facets_on_start(self) -> "OperatorLineage":
        """Return the datasets of a task that begins."""
        return lineage_events.planned(Path(self.root), self.reads, self.makes)

    def get_openlineage_facets_on_complete(self, _task_instance: Any) -> "OperatorLineage":
        """Return the datasets of a task that has succeeded, with their versions."""
        return lineage_events.done(Path(self.root), self.reads, self.makes)

    def get_openlineage_facets_on_failure(self, _task_instance: Any) -> "OperatorLineage":
        """Return the datasets of a task that has failed."""
        return self.get_openlineage_facets_on_start()


class AnnounceOperator(LineageOperator):
    """Says a sentence, and with it that its outlets, Assets, are there."""

    def __init__(self, *, text: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.text = text

    def execute(self, context: Any) -> str:
        """Return the sentence; Airflow does the rest."""
        return self.text


class DefectlineOperator(LineageOperator):
    """Runs one `defectline` command in the repository; its last line of output becomes the task's XCom.

    A command that crashes or is killed is tried again. One that refuses, with a message, fails its task at once, unless
    `retry_refusals` says that what it met can pass.
    """

    template_fields = ("command",)
    ui_color = "#e8f1ee"

    def __init__(self, *, command: str, retry_refusals: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.command = command
        self.retry_refusals = retry_refusals

    @cached_property
    def hook(self) -> SubprocessHook:
        """The running command."""
        return SubprocessHook()

    def execute(self, context: Any) -> str:
        """Run the command and return its last line.

        Raises AirflowFailException if trying again cannot help, AirflowException if it can.
        """
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        result = self.hook.run_command(shlex.split(self.command), env={**os.environ, "PATH": path}, cwd=self.root)
        told = without_secrets(result.output)  # it becomes part of an event
        if result.exit_code == REFUSED and not self.retry_refusals:
            raise AirflowFailException(told)
        if result.exit_code != 0:
            raise AirflowException(f"`{self.command}` ended with status {result.exit_code}: {told}")
        return result.output

    def on_kill(self) -> None:
        """Stop the command and everything it started."""
        self.hook.send_sigterm()


class Processes:
    """Makes tasks that run in the repository at `root`, on the machine where Airflow runs them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def stage(self, stage: Stage) -> LineageOperator:
        """Return a task that runs a stage."""
        slots = stage.cpus if stage.gpu else 1
        return self._task(["repro", stage.name], pool_slots=slots, **stage_options(stage))

    def publish(self, **options: Any) -> LineageOperator:
        """Return a task that publishes what the stages have made."""
        return self._task(["publish"], task_id="publish", retry_refusals=True, **options)

    def command(self, arguments: list[str], gpu: bool, fetch: bool, **options: Any) -> LineageOperator:
        """Return a task that runs a command on all data of a version.

        fetch: whether it expects them in the workspace, where they are here, and does not read the remote itself.
        """
        return self._task(arguments, pool=pool_name(gpu), **options)

    def _task(self, arguments: list[str], **options: Any) -> DefectlineOperator:
        command = shlex.join(["defectline", *arguments])
        return DefectlineOperator(command=command, root=self.root, **{**RETRIES, **options})


def task_maker(root: Path) -> "Processes | Pods":
    """Return what makes the tasks of the DAG in context: of pods, where DEFECTLINE_PODS names their settings.

    Raises ConfigError if these are wrong.
    """
    if not (settings := os.environ.get("DEFECTLINE_PODS")):
        return Processes(root)
    from pods import Pods  # the provider for Kubernetes takes long to import

    return Pods(root, Path(settings))


def add_stage_tasks(graph: Graph, tasks: "Processes | Pods") -> list[LineageOperator]:
    """Add a task for every stage to the DAG in context, in the graph's order, and return those of the leaves.

    A fanned-out stage becomes a task group: 'generate@plate-pit' is task 'generate.plate-pit' (no `@` in task ids).
    """
    groups = {name: TaskGroup(group_id=name) for name in dict.fromkeys(s.group for s in graph.stages if s.key)}
    made: dict[str, LineageOperator] = {}
    for stage in graph.stages:
        with groups[stage.group] if stage.key else nullcontext():
            made[stage.name] = tasks.stage(stage)
    for stage in graph.stages:
        made[stage.name].set_upstream([made[name] for name in stage.upstream])
    return [made[stage.name] for stage in graph.leaves]


def stage_options(stage: Stage) -> dict[str, Any]:
    """Return what a stage's task is, wherever it runs."""
    return {
        "task_id": stage.key or stage.name,
        "reads": stage.inputs,
        "makes": stage.outputs,
        "doc_md": f"{stage.description}\n\n    {stage.command}",
        "execution_timeout": timedelta(minutes=stage.timeout_minutes),
        "pool": pool_name(stage.gpu),
    }


def pool_name(gpu: bool) -> str:
    """Return the name of Airflow's pool for tasks that need a GPU, or none."""
    return "gpu" if gpu else "default_pool"
