"""A published version by each of its names, and exported from a clean clone."""

import json
from pathlib import Path

import pytest
from kept_versions import git
from mlflow import MlflowClient

from pipeline_tasks.commands.versions import opened, resolve
from pipeline_tasks.errors import ConfigError, DataError
from pipeline_tasks.lineage.lock import md5_of
from pipeline_tasks.schema import Pair
from pipeline_tasks.storage import read_rows

MODEL = "defectline-plate-dataset"


def test_aliases_and_registered_models_lead_to_the_version_in_git(beside_mlflow):
    revision = git(beside_mlflow, "rev-parse", "dataset-1^{commit}")
    names = ["latest", "1", "dataset-1", "champion", f"models:/{MODEL}/1", f"models:/{MODEL}@champion"]
    for name in (*names, "models:/defectline-plate-generator/1", "models:/defectline-plate-unet/1"):
        snapshot, registered = resolve(name)
        assert snapshot.revision == revision
        assert (registered is not None) == (name == "champion" or name.startswith("models:/"))
    assert resolve("champion", "plate")[1].model == MODEL


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("challenger", f"{MODEL} in MLflow has no challenger; its versions: 1"),
        (f"models:/{MODEL}/7", f"{MODEL} in MLflow has no 7; its versions: 1"),
        ("models:/another/1", "another in MLflow has no 1; its versions: none at all"),
        ("models:/plate", "write models:/NAME/NUMBER or models:/NAME@ALIAS"),
        ("models:/../x@champion", "write models:/NAME/NUMBER"),
    ],
)
def test_what_mlflow_does_not_have_is_said_with_what_it_has(beside_mlflow, name, told):
    with pytest.raises(ConfigError, match=told):
        resolve(name)


def test_without_mlflow_an_alias_has_nobody_to_ask(clean_clone):
    with pytest.raises(ConfigError, match="no MLflow here to ask; set MLFLOW_TRACKING_URI, or give a number"):
        resolve("champion")
    assert not Path(".mlflow").exists()


def test_a_number_that_means_another_version_in_mlflow_is_refused(beside_mlflow, published, monkeypatch):
    client = MlflowClient(f"sqlite:///{published / '.mlflow/mlflow.db'}")
    kept = client.get_model_version(MODEL, "1").tags["defectline.lock"]
    client.set_model_version_tag(MODEL, "1", "defectline.lock", "0123456789ab")
    try:
        with pytest.raises(DataError, match=rf"say which: dataset-1 or models:/{MODEL}/1"):
            resolve("1")
        assert resolve("dataset-1")[0].lock.version == kept
    finally:
        client.set_model_version_tag(MODEL, "1", "defectline.lock", kept)


def test_outputs_come_from_the_workspace_or_else_from_the_remote(clean_clone, published, monkeypatch):
    with opened("1") as version:
        output = version.lock.output("generate@plate-pit")
        fetched = version.path_of(output)
        assert md5_of(fetched) == output.md5 and not fetched.is_relative_to(clean_clone)
        assert version.path_of(output) is fetched
        assert (version.number, version.record["number"]) == (1, 1)
    assert not fetched.exists()
    monkeypatch.chdir(published)
    with opened("1") as version:
        assert version.path_of(output) == published / "data/pairs/plate/pit"


def test_lineage_json_counts_every_pair_by_what_it_is_made_of(clean_clone):
    with opened("latest") as version:
        pairs = [p for f in sorted(version.path_of(version.lock.output("generate@plate-pit")).glob("*.parquet"))
                 for p in read_rows(f, Pair)]  # fmt: skip
        told = version.record["products"]["plate"]["defects"]["pit"]
    for path, number in told["normals"].items():
        assert number == sum(pair.normal_path == path for pair in pairs)
    for path, number in told["parents"].items():
        assert number == sum(path in (pair.parent_a, pair.parent_b) for pair in pairs)
    assert told["pairs"] == len(pairs) == sum(told["normals"].values())


@pytest.mark.parametrize("form", ["mvtec", "coco", "yolo", "hf", "png"])
def test_a_clean_clone_exports_a_version_with_its_card(clean_clone, defectline_here, form):
    done = defectline_here("export", "latest", "--format", form, f"out/{form}")
    assert done.status == 0, done.err
    version = resolve("latest")[0].lock.version
    assert f"version {version} as {form}; pairs: plate/pit 3, plate/scratch 3, plate/stain 3" in done.out
    card = Path(f"out/{form}/README.md").read_text()
    assert version in card and "dataset-1" in card and "CC0-1.0" in card
    assert (Path(f"out/{form}") / "SHA256SUMS").is_file()
    again = defectline_here("export", "latest", "--format", form, f"out/{form}")
    assert again.status == 1 and f"out/{form}" in again.err


def test_an_audit_of_the_champion_takes_its_detectors_in(beside_mlflow, defectline_here):
    done = defectline_here("audit", "champion", "--product", "plate", "--regenerate", "0", "--json")
    assert done.status == 0, done.err
    (told,) = json.loads(done.out)
    assert told["subject"] == f"models:/{MODEL}@champion"
    names = {link["name"] for link in told["links"]}
    assert {f"{MODEL} version 1: lock", "defectline-plate-unet version 1: files"} <= names


def test_an_alias_that_no_version_has_leaves_nothing_to_audit(beside_mlflow, defectline_here):
    done = defectline_here("audit", "challenger", "--regenerate", "0")
    assert (done.status, "nothing to audit" in done.out) == (0, True)
