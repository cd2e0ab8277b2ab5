"""Whenever a data set is published: retrain the detectors of every product on the one that is champion."""

import os
import shlex
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, TaskGroup, task
from assets import DATASET, DETECTOR
from stage_tasks import RETRIES, DefectlineOperator

from pipeline_tasks.lineage.graph import graph_digest
from pipeline_tasks.lineage.products import product_names

ROOT = Path(os.environ.get("DEFECTLINE_ROOT") or Path(__file__).resolve().parents[1])

with DAG(
    dag_id="detector_retraining",
    description="A published data set in, registered detectors out, champions where they gain",
    doc_md=__doc__ + f"\n\nGraph: `{graph_digest(ROOT)}`",
    schedule=[DATASET],
    max_active_runs=1,
    tags=["defectline"],
):
    with TaskGroup("retrain") as retrained:
        for product in product_names(ROOT):
            DefectlineOperator(
                task_id=product,
                command=shlex.join(["defectline", "retrain", "--product", product]),
                root=ROOT,
                doc_md=f"Train, compare and register the detectors of {product}.",
                execution_timeout=timedelta(hours=12),
                pool="gpu",
                **RETRIES,
            )

    @task(outlets=[DETECTOR])
    def announce() -> str:
        """Tell who waits for detectors that every product's are retrained."""
        return "retrained"

    announce().set_upstream(retrained)
