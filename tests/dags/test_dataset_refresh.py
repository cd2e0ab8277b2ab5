import json
import sys
from pathlib import Path

import pytest
import yaml
from told import versions

from pipeline_tasks.lineage.graph import load_graph

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def repository(tiny_pipeline):
    """The real dvc.yaml over a catalog of two products."""
    catalog = yaml.safe_load((tiny_pipeline / "catalog.yaml").read_text())
    catalog["products"]["tile"] = {"path": "raw/tile", "layout": "mvtec"}
    own = {"generator": "tile", "prompts": "data/prompts/tile.json"}
    catalog["generators"]["tile"] = {"base": "data/base/tile", "prompts": "data/prompts/tile.json"}
    catalog["defects"]["tile-crack"] = {"product": "tile", "source": "tile", "defect": "crack", **own}
    for defect in catalog["defects"].values():
        defect["parts"] = f"data/masks/{defect['product']}/{defect['defect']}.refused.json"
    catalog["parts"] = {}
    (tiny_pipeline / "catalog.yaml").write_text(yaml.safe_dump(catalog))
    (tiny_pipeline / "dvc.yaml").write_text((REPOSITORY / "dvc.yaml").read_text())
    return tiny_pipeline


def test_the_dag_is_the_graph_of_dvc_yaml(airflow, repository):
    graph = load_graph(repository)
    found = json.loads(airflow("describe_dags.py", repository))
    assert (found["errors"], found["warnings"], found["files"]) == ({}, {}, 3)
    assert found["imported"] == [], "what takes long to import waits until a task needs it"
    dag = found["dags"]["dataset_refresh"]
    assert (dag["schedule"], dag["catchup"], dag["max_active_runs"]) == ("0 2 * * *", False, 1)
    assert graph.digest in dag["doc"]
    tasks = {task_id.replace(".", "@"): task for task_id, task in dag["tasks"].items()}
    publish = tasks.pop("publish")
    assert tasks.keys() == {stage.name for stage in graph.stages}
    for stage in graph.stages:
        task = tasks[stage.name]
        assert task["command"] == f"defectline repro {stage.name}"
        assert task["upstream"] == [name.replace("@", ".") for name in stage.upstream]
        assert task["pool"] == ("gpu" if stage.gpu else "default_pool")
        assert task["pool_slots"] == (stage.cpus if stage.gpu else 1)
        assert task["timeout_s"] == stage.timeout_minutes * 60
        assert task["retries"] >= 1
        assert task["backoff"]
        assert stage.description in task["doc"]
        assert (task["reads"], task["makes"]) == (list(stage.inputs), list(stage.outputs))
    assert {task["pool"] for task in tasks.values()} == {"gpu", "default_pool"}
    assert publish["command"] == "defectline publish"
    assert publish["upstream"] == [stage.name.replace("@", ".") for stage in graph.leaves]
    assert (publish["outlets"], publish["makes"]) == (["dvc://defectline/dataset"], ["dataset"])
    assert publish["reads"] == [path for stage in graph.stages for path in stage.outputs]
    assert dag["serialized_tasks"] == len(graph.stages) + 1


def test_the_schedule_can_be_set_and_switched_off(airflow, tiny_pipeline):
    start = "2031-02-03T04:05:06+00:00"
    settings = {"DEFECTLINE_SCHEDULE": "30 5 * * 1", "DEFECTLINE_SCHEDULE_START": start}
    dag = json.loads(airflow("describe_dags.py", tiny_pipeline, **settings))["dags"]["dataset_refresh"]
    assert (dag["schedule"], dag["start_date"].replace(" ", "T")) == ("30 5 * * 1", start)
    dag = json.loads(airflow("describe_dags.py", tiny_pipeline, DEFECTLINE_SCHEDULE="none"))["dags"]["dataset_refresh"]
    assert dag["schedule"] is None


def test_a_broken_pipeline_is_an_import_error_that_names_it(airflow, tiny_pipeline):
    (tiny_pipeline / "catalog.yaml").unlink()
    found = json.loads(airflow("describe_dags.py", tiny_pipeline))
    assert found["dags"] == {}
    assert "catalog.yaml" in str(found["errors"])


def test_a_run_refreshes_and_publishes(airflow, tiny_pipeline):
    ran = json.loads(airflow("run_dag.py", tiny_pipeline))
    assert ran["run"] == "success"
    assert set(ran["tasks"].values()) == {"success"}
    lock = yaml.safe_load((tiny_pipeline / "dvc.lock").read_text())
    assert set(lock["stages"]) == {stage.name for stage in load_graph(tiny_pipeline).stages}
    assert any((tiny_pipeline / ".remote").iterdir())


def test_nothing_runs_after_a_stage_that_refuses_and_says_why(tell, tiny_pipeline):
    (tiny_pipeline / "control" / "refuse-generate-plate-pit").touch()
    ran, told = tell(tiny_pipeline, "dataset_refresh")
    assert ran["run"] == "failed"
    assert ran["tasks"] == {
        "ingest.plate": "success",
        "generate.plate-pit": "failed",
        "generate.plate-dent": "success",
        "validate.plate": "upstream_failed",
        "publish": "upstream_failed",
    }
    assert not (tiny_pipeline / ".remote").exists()
    refused = told.of("dataset_refresh.generate.plate-pit")
    assert refused.keys() == {"START", "FAIL"}
    assert versions(refused["FAIL"], "inputs") == {"data/samples/plate": None}
    assert versions(refused["FAIL"], "outputs") == {"data/pairs/plate/pit": None}
    assert "the gate of generate-plate-pit is shut" in refused["FAIL"]["run"]["facets"]["errorMessage"]["message"]
    assert told.of("dataset_refresh.publish") == {}


def test_a_refusal_fails_at_once_and_a_crash_may_be_tried_again(airflow, tiny_pipeline):
    became = json.loads(airflow("run_commands.py", tiny_pipeline, PATH="/usr/bin:/bin"))
    assert became["done"] == "last"
    assert became["refused"] == "AirflowFailException: error: bad input"
    assert became["crashed"].startswith("AirflowException: `sh -c 'exit 70'` ended with status 70")
    assert became["killed"].startswith("AirflowException: ")
    assert became["secret"] == "AirflowFailException: error: no answer from http://mlflow:5000/"
    assert became["may pass"].startswith("AirflowException: ")
    where = (tiny_pipeline / "where").read_text().splitlines()
    assert where == [str(tiny_pipeline), str(Path(sys.executable).parent / "defectline")]
