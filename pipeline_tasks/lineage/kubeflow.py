"""dvc.yaml's graph as a pipeline for Kubeflow Pipelines (KFP v2): a task per stage, then publish, on pods of a cluster.

`pin`, `run_node`, `repro` and `publish` are lightweight components: KFP copies their source into the pipeline, so what
they import is imported inside, and they run in an image that has `defectline`, git and kfp (`--no-deps` is enough).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_tasks.errors import ConfigError
from pipeline_tasks.lineage.graph import Graph, Stage
from pipeline_tasks.lineage.stage_image import SHARED_MEMORY, USER, WORKPLACE

GPU = "nvidia.com/gpu"
RETRIES = 2
PIN = Stage("pin", "", "", (), (), (), gpu=False, cpus=1, memory="1Gi", disk="1Gi", timeout_minutes=10)
PUBLISH = Stage("publish", "", "", (), (), (), gpu=False, cpus=1, memory="16Gi", disk="100Gi", timeout_minutes=240)
"""What the steps before and after the stages need. Publishing fetches what all stages have made."""


@dataclass(frozen=True)
class Cluster:
    """What the pods of a pipeline are made of; a pipeline's file names secrets and never holds any."""

    image_cpu: str
    image_gpu: str
    gpus: int
    """Of a pod that runs a stage with a GPU."""
    gpu_nodes: Mapping[str, str]
    """Labels of the nodes that such pods may run on."""
    secrets: Mapping[str, Sequence[str]]
    """Keys of each Kubernetes Secret, by its name; a key is the name of the environment variable, too."""


@dataclass(frozen=True)
class Defaults:
    """The pipeline's parameters where a run is given no others."""

    repository: str
    branch: str
    remote: str
    mlflow: str


def write_pipeline(out: Path, graph: Graph, cluster: Cluster, defaults: Defaults) -> None:
    """Compile `graph` to the YAML file `out`, the same bytes for the same values. Raises ConfigError without kfp."""
    try:
        from kfp import compiler, dsl
    except ImportError as error:
        raise ConfigError(
            f"kubeflow: {error}; the extra `kubeflow` has an environment of its own, for kfp's kubernetes client is "
            "older than Airflow's provider takes: `make .venv-kubeflow/installed`, use .venv-kubeflow/bin/defectline"
        ) from error
    pipeline = dsl.pipeline(_refresh(graph, cluster, defaults), name="defectline")
    compiler.Compiler().compile(pipeline, str(out))


def _refresh(graph: Graph, cluster: Cluster, defaults: Defaults) -> Callable[..., None]:
    """Return the function that makes the pipeline's tasks when KFP calls it."""
    from kfp import dsl

    def refresh(
        repository: str = defaults.repository,
        branch: str = defaults.branch,
        revision: str = "",
        run: str = "",
        remote: str = defaults.remote,
        mlflow: str = defaults.mlflow,
    ) -> None:
        """Real defect images in, a registered data set of defect image/mask pairs out.

        Args:
            repository: URL of the git repository
            branch: where the release goes, and whose head is refreshed
            revision: the commit to refresh, instead of the branch's head
            run: name of the run, the job's own if empty; steps of one run take over what earlier ones hand over
            remote: DVC remote that all steps share
            mlflow: MLflow's tracking URI; if empty, what a secret or the image says
        """
        pinned = _component(pin, PIN, cluster)(repository=repository, branch=branch, revision=revision)
        job = dsl.PIPELINE_JOB_ID_PLACEHOLDER  # the back end fills it in where it is all of a task's input
        given = {"repository": repository, "revision": pinned.output, "run": run, "job": job}
        shared = {**given, "remote": remote, "mlflow": mlflow}
        tasks = {each.name: _component(repro, each, cluster)(stage=each.name, **shared) for each in graph.stages}
        for stage in graph.stages:
            _settle(tasks[stage.name], stage, cluster).after(*(tasks[name] for name in stage.upstream))
        last = _component(publish, PUBLISH, cluster)(branch=branch, **shared)
        _settle(last, PUBLISH, cluster).after(*(tasks[stage.name] for stage in graph.leaves))
        _settle(pinned, PIN, cluster)

    return refresh


def _component(function: Callable[..., Any], stage: Stage, cluster: Cluster) -> Any:
    """Return the component that runs `function` in the image for `stage`."""
    from kfp import dsl

    image = cluster.image_gpu if stage.gpu else cluster.image_cpu
    # kfp is in the image: installing it as each pod starts would take a package index, and a Python that can be written
    return dsl.component(function, base_image=image, install_kfp_package=False, additional_funcs=[run_node])


def _settle(task: Any, stage: Stage, cluster: Cluster) -> Any:
    """Set a task's name, cache, retries, and what its pod needs and may do; return the task."""
    from kfp import kubernetes

    task.set_display_name(stage.name)
    # KFP would key its cache on a task's parameters, but raw data, code and what is handed over are none of them: a
    # step would be skipped that has to run. The cache is DVC's run-cache, keyed by content, and every step asks it.
    task.set_caching_options(False)
    task.set_retry(RETRIES, backoff_duration="10s", backoff_factor=2.0, backoff_max_duration="600s")
    task.set_cpu_request(str(stage.cpus)).set_cpu_limit(str(stage.cpus))
    task.set_memory_request(stage.memory).set_memory_limit(stage.memory)
    kubernetes.set_timeout(task, stage.timeout_minutes * 60)
    kubernetes.empty_dir_mount(task, "work", WORKPLACE, size_limit=stage.disk)
    kubernetes.set_security_context(task, run_as_user=USER, run_as_group=USER, run_as_non_root=True)
    for name, keys in cluster.secrets.items():
        kubernetes.use_secret_as_env(task, name, {key: key for key in keys})
    if stage.gpu:
        _ask_for_gpus(task, cluster)
    return task


def _ask_for_gpus(task: Any, cluster: Cluster) -> None:
    from kfp import kubernetes

    task.set_accelerator_type(GPU).set_accelerator_limit(cluster.gpus)
    kubernetes.empty_dir_mount(task, "shared-memory", SHARED_MEMORY, medium="Memory", size_limit="1Gi")
    kubernetes.add_toleration(task, key=GPU, operator="Exists", effect="NoSchedule")
    for label, value in cluster.gpu_nodes.items():
        kubernetes.add_node_selector(task, label, value)


def pin(repository: str, branch: str, revision: str) -> str:
    """Return the commit that every step of this run takes, however the branch moves meanwhile."""
    import subprocess

    if revision:
        return revision
    listed = ["git", "ls-remote", "--exit-code", repository, f"refs/heads/{branch}"]
    return subprocess.run(listed, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[0]


def run_node(repository: str, revision: str, remote: str, mlflow: str, arguments: list[str]) -> None:
    """Run a command of the repository's own code in a clone, and end with its status where it fails."""
    import os
    import signal
    import subprocess
    import sys
    import tempfile

    given = {"DEFECTLINE_REMOTE": remote, "MLFLOW_TRACKING_URI": mlflow}
    environment = {**os.environ, **{name: value for name, value in given.items() if value}}
    command = ["defectline", "node", repository, revision, "--", *arguments]
    with tempfile.TemporaryDirectory(prefix="node-", dir=".") as folder:  # several may work beside each other
        node = subprocess.Popen(command, cwd=folder, env=environment)
        signal.signal(signal.SIGTERM, lambda *_: node.terminate())
        status = node.wait()
    if status:
        sys.exit(status if status > 0 else 128 - status)


def repro(stage: str, repository: str, revision: str, run: str, job: str, remote: str, mlflow: str) -> None:
    """Run one stage on what those before it have handed over."""
    run_node(repository, revision, remote, mlflow, ["repro", stage, "--run", run or job])


def publish(branch: str, repository: str, revision: str, run: str, job: str, remote: str, mlflow: str) -> None:
    """Publish what all stages of the run have handed over."""
    run_node(repository, revision, remote, mlflow, ["publish", "--run", run or job, "--branch", branch])
