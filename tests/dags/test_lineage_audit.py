import json

import yaml
from told import versions

from pipeline_tasks.lineage.graph import graph_digest


def test_every_week_a_task_for_each_product_and_what_follows_a_broken_link(airflow, tiny_pipeline):
    catalog = yaml.safe_load((tiny_pipeline / "catalog.yaml").read_text())
    catalog["products"]["tile"] = {"path": "raw/tile", "layout": "mvtec"}
    (tiny_pipeline / "catalog.yaml").write_text(yaml.safe_dump(catalog))
    found = json.loads(airflow("describe_dags.py", tiny_pipeline))
    assert (found["errors"], found["warnings"]) == ({}, {})
    dag = found["dags"]["lineage_audit"]
    assert (dag["schedule"], dag["catchup"], dag["max_active_runs"]) == ("0 4 * * SUN", False, 1)
    assert graph_digest(tiny_pipeline) in dag["doc"], "which says that the DAG is of the present catalog"
    alarm, intact = dag["tasks"].pop("alarm"), dag["tasks"].pop("intact")
    assert dag["tasks"].keys() == {"audit.plate", "audit.tile"} == {*alarm["upstream"]} == {*intact["upstream"]}
    assert (alarm["trigger_rule"], alarm["outlets"]) == ("one_failed", ["dvc://defectline/lineage_broken"])
    assert (intact["trigger_rule"], intact["outlets"]) == ("all_success", [])
    for product in ("plate", "tile"):
        task = dag["tasks"][f"audit.{product}"]
        assert task["command"] == f"defectline audit champion --product {product}"
        assert (task["pool"], task["upstream"], task["outlets"]) == ("gpu", [], [])
        assert {*task["reads"]} == {"dataset", f"detector/{product}"}
        assert task["retries"] >= 1 and task["backoff"] and task["timeout_s"] > 3600


def test_the_schedule_can_be_set_and_switched_off(airflow, tiny_pipeline):
    start = "2031-02-03T04:05:06+00:00"
    settings = {"DEFECTLINE_AUDIT_SCHEDULE": "30 5 1 * *", "DEFECTLINE_SCHEDULE_START": start}
    dags = json.loads(airflow("describe_dags.py", tiny_pipeline, **settings))["dags"]
    assert dags["lineage_audit"]["schedule"] == "30 5 1 * *"
    assert dags["lineage_audit"]["start_date"].replace(" ", "T") == start
    assert dags["dataset_refresh"]["schedule"] == "0 2 * * *"
    dags = json.loads(airflow("describe_dags.py", tiny_pipeline, DEFECTLINE_AUDIT_SCHEDULE="none"))["dags"]
    assert dags["lineage_audit"]["schedule"] is None


def test_an_intact_lineage_raises_no_alarm_and_events_that_go_nowhere_fail_nothing(airflow, tiny_pipeline):
    nowhere = json.dumps({"type": "file", "log_file_path": str(tiny_pipeline / "no" / "folder"), "append": True})
    ran = json.loads(airflow("run_dag.py", tiny_pipeline, "lineage_audit", AIRFLOW__OPENLINEAGE__TRANSPORT=nowhere))
    tasks = {"audit.plate": "success", "alarm": "skipped", "intact": "success"}
    assert ran == {"run": "success", "tasks": tasks, "announced": []}


def test_a_broken_link_fails_the_run_and_raises_the_alarm(tell, tiny_pipeline):
    (tiny_pipeline / "control" / "break-plate").touch()
    ran, told = tell(tiny_pipeline, "lineage_audit", DEFECTLINE_NAMESPACE="plant_7")
    tasks = {"audit.plate": "failed", "alarm": "success", "intact": "upstream_failed"}
    assert ran == {"run": "failed", "tasks": tasks, "announced": ["defectline_lineage_broken"]}
    audited, alarm = told.of("lineage_audit.audit.plate"), told.of("lineage_audit.alarm")
    assert versions(audited["FAIL"], "inputs", "dvc://plant_7").keys() == {"dataset", "detector/plate"}
    assert "1 link is broken" in audited["FAIL"]["run"]["facets"]["errorMessage"]["message"]
    assert versions(alarm["COMPLETE"], "outputs", "dvc://plant_7").keys() == {"lineage_broken"}
