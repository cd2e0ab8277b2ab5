"""Every week: audit what is champion, each product's data set and detectors, back to the raw samples it came from.

It only reads. A broken link fails its product's task at once, and so the run, and raises the alarm: the Asset
`defectline_lineage_broken`, which other DAGs can be scheduled on. So does an audit that fails for another reason.
"""

import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, TaskGroup
from assets import BROKEN, DATASET
from schedules import by_cron
from stage_tasks import AnnounceOperator, task_maker

from pipeline_tasks.lineage.graph import graph_digest
from pipeline_tasks.lineage.products import product_names

ROOT = Path(os.environ.get("DEFECTLINE_ROOT") or Path(__file__).resolve().parents[1])

with DAG(
    dag_id="lineage_audit",
    description="What is champion in, an alarm out where a link of its lineage is broken",
    doc_md=__doc__ + f"\n\nGraph: `{graph_digest(ROOT)}`",
    max_active_runs=1,
    tags=["defectline"],
    **by_cron("DEFECTLINE_AUDIT_SCHEDULE", default="0 4 * * SUN"),
):
    tasks = task_maker(ROOT)
    with TaskGroup("audit") as audited:
        for product in product_names(ROOT):
            tasks.command(
                ["audit", "champion", "--product", product],
                gpu=True,  # where there is one, pairs are made again on it
                fetch=False,
                task_id=product,
                inlets=[DATASET],
                reads=[f"detector/{product}"],
                doc_md=f"Follow every link from the champions of {product} back to the raw samples.",
                execution_timeout=timedelta(hours=6),
            )

    alarm = AnnounceOperator(
        task_id="alarm",
        text=f"the lineage of a champion is broken, or could not be audited: Asset {BROKEN.name}",
        root=ROOT,
        outlets=[BROKEN],
        trigger_rule="one_failed",
        doc_md="Tell who waits for it that a champion's lineage is broken.",
    )
    alarm.set_upstream(audited)

    intact = AnnounceOperator(
        task_id="intact",
        text="the lineage of every champion is intact",
        root=ROOT,
        doc_md="What a run with a broken link does not reach: after the alarm, too, such a run has failed.",
    )
    intact.set_upstream(audited)
