"""Parses a folder of DAGs, and prints the pod of each task in some run, by DAG and task, as one line of JSON."""

import json
import sys
from types import SimpleNamespace
from typing import Any

from airflow.dag_processing.dagbag import BundleDagBag
from kubernetes.client import ApiClient

folder, revision, run_id = sys.argv[1:]
bag = BundleDagBag(folder, bundle_path=folder, bundle_name="dags-folder")


def context_of(dag: Any, task: Any) -> dict[str, Any]:
    """Return what templates and labels read; only the task that pins a revision has returned something."""
    pulled = {"pin": revision}
    run = {"dag_id": dag.dag_id, "task_id": task.task_id, "run_id": run_id, "map_index": -1, "try_number": 1}
    return {"ti": SimpleNamespace(**run, xcom_pull=lambda task_ids: pulled[task_ids]), "run_id": run_id, "dag": dag}


def pod_of(dag: Any, task: Any) -> dict[str, Any]:
    """Return the pod as the API server gets it."""
    context = context_of(dag, task)
    task.render_template_fields(context)
    return ApiClient().sanitize_for_serialization(task.build_pod_request_obj(context, dry_run=True))


pods = {
    dag_id: {task.task_id: pod_of(dag, task) for task in dag.tasks if hasattr(task, "build_pod_request_obj")}
    for dag_id, dag in bag.dags.items()
}
print(json.dumps({"errors": bag.import_errors, "pods": pods}))
