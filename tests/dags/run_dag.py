"""Runs a DAG with `dag.test()`, and prints as a line of JSON what became of it, of its tasks, and what it announced."""

import atexit
import json
import sys

from airflow.dag_processing.dagbag import BundleDagBag
from airflow.models.asset import AssetEvent
from airflow.utils.session import create_session
from sqlalchemy import select

folder, dag_id = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "dataset_refresh"
dag = BundleDagBag(folder, bundle_path=folder, bundle_name="dags-folder").dags[dag_id]
run = dag.test()
with create_session() as session:
    events = session.scalars(select(AssetEvent).where(AssetEvent.source_run_id == run.run_id)).all()
    announced = [event.asset.name for event in events]
tasks = {task.task_id: task.state for task in run.get_task_instances()}
line = json.dumps({"run": run.state, "tasks": tasks, "announced": announced})
atexit.register(print, line)  # after the process that tells of the run's end, which prints as well
