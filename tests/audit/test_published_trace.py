"""A trace through a version that the real stages made and `defectline publish` published."""

import json

import pytest
from kept_versions import git

from pipeline_tasks.lineage.objects import stored_objects
from pipeline_tasks.lineage.record import load_record
from pipeline_tasks.lineage.releases import releases


@pytest.fixture
def record(beside_mlflow):
    with stored_objects(beside_mlflow, cache=False) as objects:
        return load_record(objects, releases(beside_mlflow)[0].record)


def traced(defectline_here, sample):
    ran = defectline_here("trace", f"plate/{sample}", "--json")
    assert ran.status == 0
    found = json.loads(ran.out)
    assert found["unchecked"] == [] and [s["source_path"] for s in found["samples"]] == [sample]
    ((use,),) = (release["uses"] for release in found["releases"])
    return use, {model["model"].rpartition("-")[2]: model["how"] for model in found["models"]}


def test_the_parent_of_a_pair_is_found_in_data_sets_generator_and_detector(record, beside_mlflow, defectline_here):
    sample, pairs = next(iter(record["products"]["plate"]["defects"]["pit"]["parents"].items()))
    use, models = traced(defectline_here, sample)
    assert use["roles"][0] == "base"
    assert {(d["defect"], d["parents"]) for d in use["data_sets"] if d["parents"]} == {("pit", pairs)}
    assert all(d["generator"] for d in use["data_sets"]) and len(use["data_sets"]) == 3
    assert models.keys() == {"dataset", "generator", "unet"}
    assert models["dataset"] == f"parent of {pairs} of its pairs"
    assert models["unet"].startswith("it was trained on it; it could draw on the pairs of version ")
    assert git(beside_mlflow, "status", "--porcelain") == "", "a trace leaves nothing behind"


def test_of_a_test_sample_nothing_was_made(record, defectline_here):
    samples = record["products"]["plate"]["samples"]
    use, models = traced(defectline_here, next(s["source_path"] for s in samples if s["split"] == "test"))
    assert (use["data_sets"], use["generators"], models) == ([], [], {"dataset": "it was measured on it"})
