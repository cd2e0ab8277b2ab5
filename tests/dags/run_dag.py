"""Runs the refresh with `dag.test()`, and prints the state of the run and of its tasks as one line of JSON."""

import json
import sys

from airflow.dag_processing.dagbag import BundleDagBag

folder = sys.argv[1]
dag = BundleDagBag(folder, bundle_path=folder, bundle_name="dags-folder").dags["dataset_refresh"]
run = dag.test()
print(json.dumps({"run": run.state, "tasks": {task.task_id: task.state for task in run.get_task_instances()}}))
