import json

import yaml

from pipeline_tasks.lineage.graph import graph_digest


def test_a_task_for_each_product_follows_a_published_data_set(airflow, tiny_pipeline):
    catalog = yaml.safe_load((tiny_pipeline / "catalog.yaml").read_text())
    catalog["products"]["tile"] = {"path": "raw/tile", "layout": "mvtec"}
    (tiny_pipeline / "catalog.yaml").write_text(yaml.safe_dump(catalog))
    found = json.loads(airflow("describe_dags.py", tiny_pipeline))
    assert (found["errors"], found["warnings"]) == ({}, {})
    refresh, dag = (found["dags"][name] for name in ("dataset_refresh", "detector_retraining"))
    assert dag["waits_for"] == refresh["tasks"]["publish"]["outlets"] == ["dvc://defectline/dataset"]
    assert (refresh["waits_for"], dag["max_active_runs"]) == ([], 1)
    assert graph_digest(tiny_pipeline) in dag["doc"], "which says that the DAG is of the present catalog"
    last = dag["tasks"].pop("announce")
    assert dag["tasks"].keys() == {"retrain.plate", "retrain.tile"}
    assert (last["upstream"], last["outlets"]) == (["retrain.plate", "retrain.tile"], ["dvc://defectline/detector"])
    assert (last["reads"], last["makes"]) == (["detector/plate", "detector/tile"], ["detector"])
    for product in ("plate", "tile"):
        task = dag["tasks"][f"retrain.{product}"]
        assert task["command"] == f"defectline retrain --product {product}"
        assert (task["pool"], task["pool_slots"], task["upstream"], task["outlets"]) == ("gpu", 1, [], [])
        assert (task["reads"], task["makes"]) == (["dataset"], [f"detector/{product}"])
        assert task["retries"] >= 1 and task["backoff"] and task["timeout_s"] > 3600


def test_without_products_it_is_an_import_error_that_names_the_catalog(airflow, tiny_pipeline):
    (tiny_pipeline / "catalog.yaml").write_text("products: {}\n")
    found = json.loads(airflow("describe_dags.py", tiny_pipeline))
    assert "detector_retraining" not in found["dags"]
    assert "it names no products" in str(found["errors"])
