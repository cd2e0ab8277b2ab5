"""Airflow's tasks as pods in a Kubernetes cluster, each a clone of the repository at the revision of its run."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import lineage_events
import pinned
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.pod_generator import make_safe_label_value
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from pod_parts import CONTAINER, Needs, pod_template
from pod_settings import load_pod_settings
from stage_tasks import REFUSED, RETRIES, LineageOperator, pool_name, stage_options

from pipeline_tasks.errors import DefectlineError, without_secrets
from pipeline_tasks.lineage.graph import Stage, graph_digest

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from kubernetes.client import V1Pod

PIN = "pin"
"""Task that decides on the revision of a run."""
REVISION = f"{{{{ ti.xcom_pull(task_ids='{PIN}') }}}}"
RUN = "{{ run_id | replace('$', '$$') }}"
"""Any text; Kubernetes would read `$(NAME)` in an argument as a variable."""
GRACE_S = 120
"""How long a pod that is stopped has for pushing its unfinished work."""
POLL_S = 10
"""How often the state of a pod is asked for: the API server answers for all of them."""
LOGS_S = 30
"""How often the log of a task shows what its pod has said since."""
POD_RETRIES = {**RETRIES, "retry_delay": timedelta(seconds=GRACE_S + 30)}
"""A pod that was stopped has pushed its unfinished work before another one asks for it."""
PIN_RETRIES = {"retries": 6, "retry_delay": timedelta(minutes=1)}
"""After a push, the DAGs' checkout takes minutes to follow its branch."""


class PinOperator(BaseOperator):
    """Decides on the revision that all pods of a run work on, and returns it."""

    def __init__(self, *, repository: str, branch: str, root: Path, digest: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.repository, self.branch, self.root, self.digest = repository, branch, str(root), digest

    def execute(self, context: Any) -> str:
        """Return the newest revision. Raises AirflowException if it cannot be had or has another graph than the DAG."""
        try:
            return pinned.newest_revision(self.repository, self.branch, Path(self.root), self.digest)
        except DefectlineError as error:
            raise AirflowException(str(error)) from error


class PodOperator(LineageOperator, KubernetesPodOperator):
    """Runs one `defectline` command in a pod.

    A pod that dies, or is stopped, is tried again. One whose command refuses, with a message, fails its task at once,
    unless `retry_refusals` says that what it met can pass.
    """

    ui_color = "#e8f1ee"

    def __init__(self, *, retry_refusals: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.retry_refusals = retry_refusals

    def cleanup(self, pod: "V1Pod", remote_pod: "V1Pod", *args: Any, **kwargs: Any) -> None:
        """Remove a pod that has ended.

        Raises AirflowFailException if it has failed and trying again cannot help, AirflowException if that can.
        """
        try:
            super().cleanup(pod, remote_pod, *args, **kwargs)
        except AirflowException as error:
            ending = Ending.of(remote_pod, self.base_container_name)
            if ending.refused and not self.retry_refusals:
                raise AirflowFailException(ending.told) from error
            raise AirflowException(f"pod {remote_pod.metadata.name} {ending}") from error

    def get_openlineage_facets_on_complete(self, _task_instance: Any) -> "OperatorLineage":
        """Return the datasets of a task that has succeeded; their versions are in the pod's clone, not here."""
        return lineage_events.planned(Path(self.root), self.reads, self.makes)


class Ending(NamedTuple):
    """How a pod has ended that did not succeed."""

    status: int | None
    """Exit status of its command; None if it has not ended."""
    cause: str
    """What Kubernetes calls it: OOMKilled, ImagePullBackOff; empty if the command just ended."""
    evicted: bool
    """Whether the pod as a whole was stopped: its node ran out of something or went, or its time was up."""
    told: str
    """Why, in the command's words; empty if it said nothing."""

    @classmethod
    def of(cls, pod: "V1Pod", container: str) -> "Ending":
        """Return how the pod ended, as its status and that of its container tell."""
        states = [each.state for each in pod.status.container_statuses or [] if each.name == container]
        end = next((state.terminated or state.waiting for state in states if state), None)
        status, reason, said = (getattr(end, name, None) for name in ("exit_code", "reason", "message"))
        causes = [pod.status.reason or (pod.status.phase if end is None else ""), reason if reason != "Error" else ""]
        told = _last_error(said or "") or without_secrets(pod.status.message or "")
        return cls(status, ", ".join(filter(None, causes)), bool(pod.status.reason), told)

    @property
    def refused(self) -> bool:
        """Whether the command itself ended as it does after an error that it explains."""
        return self.status == REFUSED and not self.evicted

    def __str__(self) -> str:
        how = "was stopped" if self.status is None else f"ended with status {self.status}"
        return f"{how}{self.cause and f' ({self.cause})'}: {self.told or 'it said nothing'}"


def _last_error(said: str) -> str:
    """Return the last line that reports an error, or else the last one, without passwords."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error: ")]
    return without_secrets((errors or lines or [""])[-1])


class Pods:
    """Makes tasks that run as pods, as the file `settings` says, after a first task that decides on the revision.

    root: the checkout that the DAG is derived from; no pod sees it. Raises ConfigError if the settings are wrong.
    """

    def __init__(self, root: Path, settings: Path) -> None:
        self.root, self.settings = root, load_pod_settings(settings)
        self.pin = PinOperator(
            task_id=PIN,
            repository=self.settings.repository,
            branch=self.settings.branch,
            root=root,
            digest=graph_digest(root),
            doc_md="Decide on the revision that all pods of this run work on.",
            execution_timeout=timedelta(minutes=10),
            **PIN_RETRIES,
        )

    def stage(self, stage: Stage) -> PodOperator:
        """Return a task that runs a stage on what those before it handed over in the same run."""
        needs = Needs(stage.gpu, stage.cpus, stage.memory, stage.disk)
        labels = {"stage": stage.group, "item": stage.key, "product": stage.key.partition("-")[0]}
        task = self._pod(needs, [], ["repro", stage.name, "--run", RUN], labels, **stage_options(stage))
        if not stage.upstream:
            task.set_upstream(self.pin)
        return task

    def publish(self, **options: Any) -> PodOperator:
        """Return a task that publishes what the stages have handed over in the same run."""
        command = ["publish", "--run", RUN, "--branch", self.settings.branch]
        labels = {"stage": "publish"}
        return self._pod(self._whole(gpu=False), [], command, labels, task_id="publish", retry_refusals=True, **options)

    def command(self, arguments: list[str], gpu: bool, fetch: bool, **options: Any) -> PodOperator:
        """Return a task that runs a command on all data of a version.

        fetch: whether they are fetched first, for a command that does not read the remote itself.
        """
        labels = {"stage": arguments[0], "item": options["task_id"], "product": options["task_id"]}
        options |= {"pool": pool_name(gpu)}
        task = self._pod(self._whole(gpu), ["--pull"] if fetch else [], arguments, labels, **options)
        task.set_upstream(self.pin)
        return task

    def _whole(self, gpu: bool) -> Needs:
        return Needs(gpu, **self.settings.whole.model_dump())

    def _pod(
        self,
        needs: Needs,
        node: list[str],
        command: list[str],
        labels: dict[str, str],
        execution_timeout: timedelta,
        **options: Any,
    ) -> PodOperator:
        """Return the task that runs `defectline node` with these options for the command.

        execution_timeout: of the command. The cluster counts from when the pod has a node, and so allows it
        `start_minutes` more, for image, clone and data; Airflow allows as much again, for the wait for a node.
        """
        waiting = timedelta(minutes=self.settings.start_minutes)
        deadline = execution_timeout + waiting
        return PodOperator(
            arguments=["node", *node, self.settings.repository, REVISION, "--", *command],
            labels={"app.kubernetes.io/name": "defectline", **_own_labels(labels)},
            active_deadline_seconds=int(deadline.total_seconds()),
            execution_timeout=waiting + deadline + timedelta(seconds=GRACE_S),
            schedule_timeout_seconds=int(waiting.total_seconds()),
            startup_timeout_seconds=int(waiting.total_seconds()),
            root=self.root,
            namespace=self.settings.namespace,
            pod_template_dict=pod_template(self.settings, needs),
            pool_slots=self.settings.gpu.count if needs.gpu else 1,
            **_watching(),
            **{**POD_RETRIES, **options},
        )


def _own_labels(labels: dict[str, str]) -> dict[str, str]:
    return {f"defectline/{name}": make_safe_label_value(value) for name, value in labels.items()}


def _watching() -> dict[str, Any]:
    """Return how Airflow follows a pod: from the triggerer, across restarts of its own, to the pod's last words."""
    return {
        "deferrable": True,
        "durable": True,
        "poll_interval": POLL_S,
        "startup_check_interval_seconds": POLL_S,
        "logging_interval": LOGS_S,
        "log_events_on_failure": True,
        "log_pod_spec_on_failure": False,
        "termination_message_policy": "FallbackToLogsOnError",
        "termination_grace_period": GRACE_S,
        "base_container_name": CONTAINER,
        "on_finish_action": "delete_pod",
        "random_name_suffix": True,
    }
