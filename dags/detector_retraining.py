"""Whenever a data set is published: retrain the detectors of every product on the one that is champion."""

import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, TaskGroup
from assets import DATASET, DETECTOR
from stage_tasks import AnnounceOperator, task_maker

from pipeline_tasks.lineage.graph import graph_digest
from pipeline_tasks.lineage.products import product_names

ROOT = Path(os.environ.get("DEFECTLINE_ROOT") or Path(__file__).resolve().parents[1])

products = product_names(ROOT)

with DAG(
    dag_id="detector_retraining",
    description="A published data set in, registered detectors out, champions where they gain",
    doc_md=__doc__ + f"\n\nGraph: `{graph_digest(ROOT)}`",
    schedule=[DATASET],
    max_active_runs=1,
    tags=["defectline"],
):
    tasks = task_maker(ROOT)
    with TaskGroup("retrain") as retrained:
        for product in products:
            tasks.command(
                ["retrain", "--product", product],
                gpu=True,
                fetch=True,
                task_id=product,
                inlets=[DATASET],
                makes=[f"detector/{product}"],
                doc_md=f"Train, compare and register the detectors of {product}.",
                execution_timeout=timedelta(hours=12),
            )

    announce = AnnounceOperator(
        task_id="announce",
        text="retrained",
        root=ROOT,
        reads=[f"detector/{product}" for product in products],
        outlets=[DETECTOR],
        doc_md="Tell who waits for detectors that every product's are retrained.",
    )
    announce.set_upstream(retrained)
