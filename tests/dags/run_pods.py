"""Runs a DAG with `dag.test()`, each pod as a process in an empty folder, and prints what became of it as JSON.

A pod's process has the arguments and the environment of the pod, but for its home: a folder of its own.
"""

import atexit
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import BundleDagBag

folder, dag_id, places = sys.argv[1:]
dag = BundleDagBag(folder, bundle_path=folder, bundle_name="dags-folder").dags[dag_id]


def run_here(task: Any, context: Any) -> None:
    """Run the command of a pod. Raises CalledProcessError if it fails."""
    home = Path(places) / task.task_id
    home.mkdir(parents=True)
    [container] = task.pod_template_dict["spec"]["containers"]
    variables = {variable["name"]: variable["value"] for variable in container["env"]}
    own = {"HOME": str(home), "DVC_SITE_CACHE_DIR": str(home / ".site-cache"), "TMPDIR": str(home)}
    command = [sys.executable, "-m", "pipeline_tasks", *task.arguments]
    done = subprocess.run(
        command, cwd=home, env={**os.environ, **variables, **own}, capture_output=True, text=True, check=False
    )
    (home / "log.txt").write_text(done.stdout + done.stderr)
    done.check_returncode()


sys.modules["pods"].PodOperator.execute = run_here
run = dag.test()
tasks = {task.task_id: task.state for task in run.get_task_instances()}
atexit.register(print, json.dumps({"run": run.state, "run_id": run.run_id, "tasks": tasks}))
