"""What the tasks of real runs tell OpenLineage."""

import subprocess
from datetime import datetime
from uuid import UUID

import pytest
import yaml
from told import facets_in, versions

from pipeline_tasks.catalog import load_catalog
from pipeline_tasks.lineage.graph import load_graph
from pipeline_tasks.lineage.lock import load_lock

SECRET = "hunter2"
SECRETS = {"MLFLOW_TRACKING_URI": f"http://me:{SECRET}@127.0.0.1:9", "AWS_SECRET_ACCESS_KEY": SECRET}
REMOTE = f"https://me:{SECRET}@git.example.com/parts.git"


@pytest.fixture(scope="module")
def repository(tmp_path_factory, make_pipeline):
    """A repository with an origin whose address holds a password."""
    root = make_pipeline(tmp_path_factory.mktemp("told") / "tiny pipeline")
    subprocess.run(["git", "remote", "add", "origin", REMOTE], cwd=root, check=True)
    return root


@pytest.fixture(scope="module")
def told(repository, tell):
    """What a refresh of it told, with secrets in the environment."""
    ran, events = tell(repository, "dataset_refresh", **SECRETS)
    assert ran["run"] == "success"
    return events


def test_every_stage_tells_its_data_and_once_it_has_run_their_content(repository, told):
    graph, lock = load_graph(repository), yaml.safe_load((repository / "dvc.lock").read_text())["stages"]
    for stage in graph.stages:
        found = told.of(f"dataset_refresh.{stage.name.replace('@', '.')}")
        assert found.keys() == {"START", "COMPLETE"}
        start, complete = found["START"], found["COMPLETE"]
        assert start["run"]["runId"] == complete["run"]["runId"]
        assert versions(start, "inputs") == dict.fromkeys(graph.sources(stage.inputs))
        assert versions(start, "outputs") == dict.fromkeys(stage.outputs)
        assert versions(complete, "outputs") == {out["path"]: out["md5"] for out in lock[stage.name]["outs"]}
    ingested = told.of("dataset_refresh.ingest.plate")["COMPLETE"]
    generated = told.of("dataset_refresh.generate.plate-pit")["COMPLETE"]
    assert versions(ingested, "inputs") == {"raw/plate": lock["ingest@plate"]["deps"][0]["md5"]}
    assert versions(ingested, "outputs") == versions(generated, "inputs"), "what one made is what the next has read"


def test_a_folder_of_several_outputs_is_told_as_these(told):
    made = [versions(told.of(f"dataset_refresh.generate.plate-{d}")["COMPLETE"], "outputs") for d in ("pit", "dent")]
    validated = told.of("dataset_refresh.validate.plate")["COMPLETE"]
    assert versions(validated, "inputs") == {**made[0], **made[1]}
    assert versions(validated, "inputs").keys() == {"data/pairs/plate/pit", "data/pairs/plate/dent"}


def test_publishing_makes_a_version_of_the_data_set_out_of_all_that_was_made(repository, told):
    published = told.of("dataset_refresh.publish")["COMPLETE"]
    lock = load_lock(repository, load_catalog(repository / "catalog.yaml"))
    assert versions(published, "outputs") == {"dataset": lock.version}
    outputs = [output for entry in lock.stages.values() for output in entry["outs"]]
    assert versions(published, "inputs") == {output["path"]: output["md5"] for output in outputs}


def test_events_are_well_formed_and_tell_no_secret(repository, told):
    assert SECRET not in told.text and len(told.events) == 11
    first = subprocess.check_output(["git", "rev-list", "--max-parents=0", "HEAD"], cwd=repository, text=True)
    code = told.of("dataset_refresh.ingest.plate")["START"]["job"]["facets"]["sourceCodeLocation"]
    assert (code["url"], code["version"]) == ("https://git.example.com/parts.git", first.strip())
    for event in told.events:
        UUID(event["run"]["runId"])
        assert datetime.fromisoformat(event["eventTime"]).tzinfo and event["producer"].startswith("https://")
        assert all(facet["_producer"] and facet["_schemaURL"] for facet in facets_in(event))
        assert "environmentVariables" not in event["run"]["facets"]


def test_the_chain_goes_on_to_the_detectors(repository, told, tell):
    _, later = tell(repository, "detector_retraining")
    published = told.of("dataset_refresh.publish")["COMPLETE"]
    retrained, announced = (later.of(f"detector_retraining.{t}")["COMPLETE"] for t in ("retrain.plate", "announce"))
    assert versions(retrained, "inputs").keys() == versions(published, "outputs").keys()
    assert versions(retrained, "outputs").keys() == versions(announced, "inputs").keys() == {"detector/plate"}
    assert versions(announced, "outputs").keys() == {"detector"}
