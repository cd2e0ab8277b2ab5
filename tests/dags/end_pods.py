"""Ends pods in every way, as the cluster tells of it, and prints what became of their tasks as one line of JSON."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

sys.path.append(sys.argv[1])
from kubernetes.client import models as k8s
from kubernetes.client.exceptions import ApiException
from pods import PodOperator

SAID = "reading\nerror: stage 'a': no answer from http://me:hunter2@mlflow:5000/\nTraceback that DVC adds\n"


def pod(phase: str, state: k8s.V1ContainerState | None, **of_pod: str) -> k8s.V1Pod:
    """Return a pod with the state of its container, if that has one."""
    known = {"name": "base", "image": "image", "image_id": "1", "ready": False, "restart_count": 0}
    containers = [k8s.V1ContainerStatus(**known, state=state)] if state else None
    return k8s.V1Pod(
        metadata=k8s.V1ObjectMeta(name="pod-1", namespace="defectline", labels={}),
        spec=k8s.V1PodSpec(containers=[k8s.V1Container(name="base")]),
        status=k8s.V1PodStatus(phase=phase, container_statuses=containers, **of_pod),
    )


def ended(status: int, said: str = "", why: str = "Error", **of_pod: str) -> k8s.V1Pod:
    """Return a pod whose command ended with `status`."""
    end = k8s.V1ContainerStateTerminated(exit_code=status, reason=why, message=said)
    return pod("Failed" if status else "Succeeded", k8s.V1ContainerState(terminated=end), **of_pod)


WAITING = k8s.V1ContainerStateWaiting(reason="ImagePullBackOff", message='Back-off pulling image "cpu:0"')
PODS = {
    "done": ended(0, why="Completed"),
    "refused": ended(1, SAID),
    "busy": ended(75, "error: the remote does not answer"),
    "crashed": ended(70),
    "out of memory": ended(137, why="OOMKilled"),
    "late": ended(1, "error: interrupted", reason="DeadlineExceeded", message="active longer than allowed"),
    "evicted": pod("Failed", None, reason="Evicted", message="The node was low on resource: ephemeral-storage."),
    "hanging": pod("Running", k8s.V1ContainerState(running=k8s.V1ContainerStateRunning())),
    "without image": pod("Pending", k8s.V1ContainerState(waiting=WAITING)),
}


def operator(remote: k8s.V1Pod | None, **options: Any) -> PodOperator:
    """Return a task whose cluster holds this pod, or none."""
    task = PodOperator(task_id="a", root=Path.cwd(), deferrable=True, logging_interval=30, **options)
    gone = ApiException(status=404)
    task.client = MagicMock()
    task.hook = MagicMock(get_pod=MagicMock(return_value=remote, side_effect=None if remote else gone))
    task.pod_manager = MagicMock(await_pod_completion=MagicMock(return_value=remote))
    return task


def resumed(task: PodOperator, remote: k8s.V1Pod | None) -> None:
    """Come back from the triggerer."""
    phase = remote.status.phase if remote else "Failed"
    status = {"Succeeded": "success", "Failed": "failed"}.get(phase, "timeout")
    told = {"name": "pod-1", "namespace": "defectline", "status": status, "message": "Container state failed"}
    task.trigger_reentry({"ti": MagicMock()}, told)


def watched(task: PodOperator, remote: k8s.V1Pod) -> None:
    """Watch from the worker all the time."""
    task.pod = task.pod_request_obj = remote
    task.find_pod, task.await_pod_start = lambda *_, **__: remote, lambda **_: None
    task.execute_sync({"ti": MagicMock()})


def outcome(run: Any, remote: k8s.V1Pod | None, **options: bool) -> dict[str, Any]:
    """Return the name and the text of the exception, if any, and whether the pod was removed."""
    task = operator(remote, **options)
    try:
        run(task, remote)
        raised = ""
    except Exception as error:
        raised = f"{type(error).__name__}: {error}"
    return {"raised": raised, "removed": task.pod_manager.delete_pod.called}


became = SimpleNamespace(
    resumed={name: outcome(resumed, remote) for name, remote in {**PODS, "gone": None}.items()},
    watched={name: outcome(watched, remote) for name, remote in PODS.items()},
    patient=outcome(resumed, PODS["refused"], retry_refusals=True),
)
print(json.dumps(vars(became)))
