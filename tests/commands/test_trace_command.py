import json
import shutil

import pytest
from released_records import made, make_release_repository, product, release, row
from rows import digest

from pipeline_tasks.tracking.registry import connect
from pipeline_tasks.tracking.run import DIGEST_TAG, LOCK_TAG

PIT = "test/pit/000.png"
GENERATORS = {"shared": {"digest": "a" * 32, "pretrained": "e" * 32, "products": ["plate"]}}


def record(pairs):
    defects = {"pit": made("plate", {PIT: pairs}, {"train/good/000.png": pairs}, pairs)}
    return {"products": {"plate": product([row(PIT)], defects)}, "generators": GENERATORS}


def stages(seed):
    return {"generate@plate-pit": {"cmd": "g", "params": {"params.yaml": {"run": {"seed": seed}}}}}


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A repository with two releases."""
    root = make_release_repository(tmp_path_factory.mktemp("template") / "repository")
    release(root, record(3), stages(0))
    release(root, record(4), stages(1))
    return root


@pytest.fixture
def repository(template, defectline, tmp_path, monkeypatch):
    """A throwaway copy of it, which has no MLflow yet, as the current directory."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return shutil.copytree(template, tmp_path, dirs_exist_ok=True)


def test_a_sample_is_traced_in_words_and_as_json(repository, defectline):
    ran = defectline("trace", f"plate/{PIT}")
    assert (ran.status, ran.err) == (0, "")
    told = ran.out.splitlines()
    assert told[0] == f"plate/{PIT}  SHA-256 {digest(PIT)}"
    assert "    pairs of plate/pit: parent of 4, made by a generator that learned from it" in told
    assert told[-1].startswith("unchecked: registered models: MLflow was never used here")
    values = json.loads(defectline("trace", digest(PIT)[:10], "--json").out)
    assert [release["uses"][0]["data_sets"][0]["parents"] for release in values["releases"]] == [3, 4]
    assert not (repository / ".mlflow").exists()


def test_registered_models_are_collected_with_what_detectors_were_trained_on(repository, defectline):
    version = json.loads(defectline("trace", PIT, "--json").out)["releases"][0]["version"]
    trained, old = repository / "trained", repository / "old"
    for folder, values in ((trained, {"samples": [{"source_path": PIT, "sha256": digest(PIT)}]}), (old, {})):
        folder.mkdir()
        (folder / "retraining.json").write_text(json.dumps(values))
    (repository / "none").mkdir()
    (repository / "none/file.txt").write_text("x")
    (repository / ".mlflow").mkdir()
    store = repository / ".mlflow"
    with connect(f"sqlite:///{store}/mlflow.db", "defectline", store / "artifacts") as registry:
        run = registry.begin(version, {})
        register = registry.models.register
        found = register(run, "defectline-plate-dataset", repository / "none", LOCK_TAG, {LOCK_TAG: version}, "")
        registry._client.set_registered_model_alias(found.model, "champion", found.number)
        for folder in (trained, old, repository / "none"):
            tags = {LOCK_TAG: "" if folder == trained else "0" * 12, DIGEST_TAG: folder.name}
            register(run, "defectline-plate-unet", folder, DIGEST_TAG, tags, "")
        register(run, "defectline-shared-generator", repository / "none", DIGEST_TAG, {DIGEST_TAG: "a" * 32}, "")
    told = [line for line in defectline("trace", PIT).out.splitlines() if "defectline-" in line]
    unknown = f"its data set, version {'0' * 12}, is no release that could be checked"
    assert told == [
        "defectline-plate-dataset version 1 (champion): parent of 3 of its pairs",
        "defectline-plate-unet version 1: it was trained on it",
        "defectline-shared-generator version 1: it learned from it",
        f"unchecked: defectline-plate-unet version 2: {unknown}",
        f"unchecked: defectline-plate-unet version 3: {unknown}",
    ]


def test_an_mlflow_out_of_reach_hides_nothing_else(repository, defectline, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    monkeypatch.setattr("pipeline_tasks.tracking.store.SETTINGS", {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"})
    ran = defectline("trace", PIT)
    assert ran.status == 0 and "parent of 4" in ran.out
    assert "unchecked: registered models: MLflow at http://127.0.0.1:9: " in ran.out and "secret" not in ran.out


def test_a_folder_that_is_no_repository_is_named(defectline):
    ran = defectline("trace", PIT)
    assert ran.status == 1 and "DVC" in ran.err
