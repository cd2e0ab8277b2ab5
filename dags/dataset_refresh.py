"""Every night: refresh the dataset. The tasks are derived from dvc.yaml; no stage is named here."""

import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG
from assets import DATASET
from schedules import by_cron
from stage_tasks import add_stage_tasks, task_maker

from pipeline_tasks.lineage.graph import load_graph

ROOT = Path(os.environ.get("DEFECTLINE_ROOT") or Path(__file__).resolve().parents[1])

graph = load_graph(ROOT)

with DAG(
    dag_id="dataset_refresh",
    description="Defect images in, a registered dataset of defect image/mask pairs out",
    doc_md=__doc__ + f"\n\nGraph: `{graph.digest}`",
    max_active_runs=1,
    tags=["defectline"],
    **by_cron("DEFECTLINE_SCHEDULE", default="0 2 * * *"),
):
    tasks = task_maker(ROOT)
    leaves = add_stage_tasks(graph, tasks)
    publish = tasks.publish(
        reads=[path for stage in graph.stages for path in stage.outputs],
        doc_md="Commit the lock, push the data to the remote, register the version.",
        execution_timeout=timedelta(hours=1),
        outlets=[DATASET],
    )
    publish.set_upstream(leaves)
