"""Parses a folder of DAGs as Airflow does, and prints what it finds as one line of JSON."""

import json
import sys

from airflow.dag_processing.dagbag import BundleDagBag
from airflow.serialization.serialized_objects import DagSerialization

folder = sys.argv[1]
bag = BundleDagBag(folder, bundle_path=folder, bundle_name="dags-folder")
dags = {
    dag_id: {
        "schedule": getattr(dag.timetable, "expression", None),
        "waits_for": [asset.uri for asset in getattr(dag.timetable.asset_condition, "objects", [])],
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "start_date": str(dag.start_date),
        "doc": dag.doc_md,
        "serialized_tasks": len(DagSerialization.to_dict(dag)["dag"]["tasks"]),
        "tasks": {
            task.task_id: {
                "command": getattr(task, "command", None),
                "upstream": sorted(task.upstream_task_ids),
                "pool": task.pool,
                "pool_slots": task.pool_slots,
                "timeout_s": task.execution_timeout and task.execution_timeout.total_seconds(),
                "retries": task.retries,
                "retry_delay_s": task.retry_delay.total_seconds(),
                "backoff": task.retry_exponential_backoff,
                "doc": task.doc_md,
                "trigger_rule": task.trigger_rule,
                "inlets": [asset.uri for asset in task.inlets],
                "outlets": [asset.uri for asset in task.outlets],
                "reads": getattr(task, "reads", None),
                "makes": getattr(task, "makes", None),
            }
            for task in dag.tasks
        },
    }
    for dag_id, dag in bag.dags.items()
}
found = {
    "errors": bag.import_errors,
    "warnings": bag.captured_warnings,
    "files": len(bag.dagbag_stats),
    "imported": [name for name in ("dvc", "openlineage", "kubernetes") if name in sys.modules],
    "dags": dags,
}
print(json.dumps(found, default=str))
