"""A registered detector, asked for by name, and champions that MLflow knows no version of."""

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient

UNET, DATASET = "defectline-plate-unet", "defectline-plate-dataset"


@pytest.fixture
def client(published):
    return MlflowClient(f"sqlite:///{published / '.mlflow/mlflow.db'}")


@pytest.fixture
def tagged(client):
    """Gives a registered version other tags, None for none, until the test is over."""
    kept = {}

    def put(model, **tags):
        known = client.get_model_version(model, "1").tags
        for name, value in ((f"defectline.{name}", value) for name, value in tags.items()):
            kept.setdefault((model, name), known.get(name))
            if value is None:
                client.delete_model_version_tag(model, "1", name)
            else:
                client.set_model_version_tag(model, "1", name, value)

    yield put
    for (model, name), value in kept.items():
        client.set_model_version_tag(model, "1", name, value)


def audit(defectline_here, *arguments):
    done = defectline_here("audit", *arguments, "--regenerate", "0", "--json")
    assert done.out, done.err
    return done.status, [{link["name"]: link for link in one["links"]} | {"": one} for one in json.loads(done.out)]


def test_the_real_samples_of_a_detector_are_those_of_its_own_record(beside_mlflow, defectline_here):
    status, (found,) = audit(defectline_here, f"models:/{UNET}/1")
    assert status == 0
    assert found[f"{UNET} version 1: data set"]["found"] == f"models:/{DATASET}/1, as it names it"
    samples = found[""]["samples"]["plate"]
    told = f"it names the {len(samples)} real samples that it learned from"
    assert found[f"{UNET} version 1: record"]["found"] == told
    assert {sample["split"] for sample in samples} == {"base"} and len(samples) < 21


@pytest.mark.parametrize(
    ("model", "tags", "told"),
    [
        (UNET, {"dataset_model": f"models:/{DATASET}/9"}, f"{UNET} version 1: data set"),
        (UNET, {"generator_model": "models:/defectline-tile-generator/1"}, f"{UNET} version 1: generator"),
        (DATASET, {"release": "7"}, f"{DATASET} version 1: git revision"),
    ],
)
def test_what_is_tagged_with_another_origin_is_named(beside_mlflow, defectline_here, tagged, model, tags, told):
    tagged(model, **tags)
    status, (found,) = audit(defectline_here, "1")
    assert (status, [name for name, link in found.items() if name and link["verdict"] == "broken"]) == (1, [told])


def test_a_champion_without_the_tag_of_its_version_is_no_reason_to_say_that_there_is_none(
    beside_mlflow, defectline_here, tagged
):
    tagged(DATASET, lock=None)
    status, (unet, data) = audit(defectline_here, "champion")
    assert status == 1 and unet[""]["subject"] == f"models:/{UNET}@champion"
    assert "the tag was removed" in data[f"{DATASET} version 1: lock"]["found"]
    assert Path(f"reports/audits/models_{DATASET.replace('-', '_')}_1.html").is_file()


def test_a_detector_of_real_images_alone_is_audited_without_a_version(beside_mlflow, defectline_here, tagged):
    tagged(UNET, lock="")
    status, (_, found) = audit(defectline_here, "champion")
    assert (status, found[""]["version"]) == (0, "")
    assert [link["verdict"] for name, link in found.items() if name] == ["ok", "ok", "ok"]
    assert found[""]["samples"]["plate"]


@pytest.mark.parametrize(
    "uri", ["postgresql://nobody:secret@127.0.0.1:1/none", "file:///nowhere", "http://127.0.0.1:1"]
)
def test_an_audit_does_without_an_mlflow_that_cannot_be_reached(clean_clone, defectline_here, monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    status, (found,) = audit(defectline_here, "dataset-1")
    assert (status, found["MLflow"]["verdict"]) == (0, "unchecked")
    assert "secret" not in json.dumps(found[""])
