import os

import pandas as pd
import pytest
from mlflow import MlflowClient

from pipeline_tasks.errors import PublicationError, without_secrets
from pipeline_tasks.tracking.registry import Dataset, Generator, Record, connect

DIGEST = "0123456789abcdef0123456789abcdef.dir"
STEPS = [
    "log_batch",
    "log_inputs",
    "create_logged_model",
    "log_model_artifacts",
    "finalize_logged_model",
    "create_registered_model",
    "create_model_version",
    "log_artifacts",
    "set_terminated",
]


@pytest.fixture
def record(tmp_path, request):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "report.html").write_text("<html>")
    name = f"generator of {request.node.name}"
    manifest = pd.DataFrame({"pair_id": ["plate/pit/0", "plate/pit/1"], "warp": [[1.0, 0.0]] * 2, "seed": [3, 4]})
    return Record(
        params={"train.steps": "400"},
        metrics={"plate/real_only/pixel_ap_mean": 0.25},
        datasets=[Dataset("plate/pit", DIGEST, "data/pairs/plate/pit", manifest)],
        generators=[Generator(name, DIGEST, tmp_path / "model")],
        files=tmp_path / "files",
    )


def publish(uri, store, version, record):
    with connect(uri, "defectline", store / "artifacts") as registry:
        run = registry.begin(version, {"defectline.git_dirty": "false"})
        if not run.finished:
            registry.complete(run, record)
    return run


def runs_of(client, version):
    experiment = client.get_experiment_by_name("defectline")
    return client.search_runs([experiment.experiment_id], f"tags.`defectline.lock` = '{version}'")


def versions_of(client, record):
    return client.search_model_versions(f"name = '{record.generators[0].name}'")


def test_a_version_is_one_finished_run_with_all_that_belongs_to_it(uri, store, record):
    run = publish(uri, store, "complete", record)
    client = MlflowClient(uri)
    kept = client.get_run(run.run_id)
    assert kept.info.status == "FINISHED"
    assert kept.data.params == {"train.steps": "400"}
    assert kept.data.metrics == {"plate/real_only/pixel_ap_mean": 0.25}
    assert kept.data.tags["defectline.lock"] == "complete"
    assert [a.path for a in client.list_artifacts(run.run_id)] == ["report.html"]
    assert (store / "artifacts" / run.run_id / "artifacts" / "report.html").exists()


def test_the_dataset_carries_dvcs_md5(uri, store, record):
    run = publish(uri, store, "dataset", record)
    (data,) = MlflowClient(uri).get_run(run.run_id).inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("plate/pit", DIGEST)
    assert "data/pairs/plate/pit" in data.dataset.source
    assert '"num_rows": 2' in data.dataset.profile


def test_the_generator_is_a_registered_model_linked_to_the_run(uri, store, record):
    run = publish(uri, store, "model", record)
    client = MlflowClient(uri)
    (version,) = versions_of(client, record)
    assert (version.run_id, version.tags["defectline.digest"]) == (run.run_id, DIGEST)
    (model,) = client.get_run(run.run_id).inputs.model_inputs
    assert version.source == f"models:/{model.model_id}"
    assert [file.path for file in client.list_logged_model_artifacts(model.model_id)] == ["config.json"]


def test_publishing_twice_changes_nothing(uri, store, record):
    first, second = (publish(uri, store, "twice", record) for _ in range(2))
    assert (first.run_id, first.created) == (second.run_id, second.created)
    assert (first.finished, second.finished) == (False, True)
    client = MlflowClient(uri)
    assert len(runs_of(client, "twice")) == len(versions_of(client, record)) == 1


def test_an_unchanged_generator_gets_no_second_version(uri, store, record):
    publish(uri, store, "unchanged 1", record)
    run = publish(uri, store, "unchanged 2", record)
    client = MlflowClient(uri)
    assert len(versions_of(client, record)) == 1
    assert len(client.get_run(run.run_id).inputs.model_inputs) == 1


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_that_was_killed_is_completed_by_the_next_call(uri, store, record, monkeypatch, step, when):
    real = getattr(MlflowClient, step)

    def killed(*args, **kwargs):
        if when == "after":
            real(*args, **kwargs)
        raise KeyboardInterrupt

    version = f"killed {when} {step}"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(MlflowClient, step, killed)
        publish(uri, store, version, record)
    publish(uri, store, version, record)
    client = MlflowClient(uri)
    (run,) = runs_of(client, version)
    assert run.info.status == "FINISHED"
    whole = client.get_run(run.info.run_id)
    assert (len(whole.inputs.dataset_inputs), len(whole.inputs.model_inputs)) == (1, 1)
    assert len(versions_of(client, record)) == 1
    assert whole.data.metrics
    assert client.list_artifacts(run.info.run_id)


def test_the_version_before_is_the_last_one_that_was_finished(uri, store, record):
    with connect(uri, "an experiment with a history", store / "artifacts") as registry:
        first = registry.begin("first", {})
        registry.complete(first, record)
        unfinished = registry.begin("unfinished", {})
        second = registry.begin("second", {})
        assert registry.previous(first) is None
        previous = registry.previous(second)
        registry.complete(unfinished, record)
        assert registry.previous(second) == previous
    assert (previous.version, previous.created) == ("first", first.created)
    assert (previous.params, previous.metrics) == (record.params, record.metrics)
    assert previous.datasets == {"plate/pit": DIGEST}


def test_many_metrics_are_sent_in_portions(uri, store, record):
    many = Record({f"p{i}": "1" for i in range(150)}, {f"m{i}": 1.0 for i in range(150)}, [], [], record.files)
    run = publish(uri, store, "many", many)
    kept = MlflowClient(uri).get_run(run.run_id)
    assert (len(kept.data.params), len(kept.data.metrics)) == (150, 150)


def test_the_tracking_uri_of_the_surroundings_is_left_alone(uri, store, record, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere")
    publish(uri, store, "surroundings", record)
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://elsewhere"


@pytest.mark.parametrize("uri", ["mlruns", "file:///tmp/mlruns", "ftp://me:secret@host/x"])
def test_other_stores_are_refused(uri):
    with pytest.raises(PublicationError, match="file store") as caught, connect(uri, "defectline", None):
        pass
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("uri", ["http://me:secret@127.0.0.1:9", "sqlite:////proc/no/such/mlflow.db?password=secret"])
def test_an_unreachable_store_is_named_without_its_credentials(uri, monkeypatch):
    monkeypatch.setattr("pipeline_tasks.tracking.store.SETTINGS", {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"})
    with pytest.raises(PublicationError, match="run this again") as caught, connect(uri, "defectline", None):
        pass
    assert "secret" not in str(caught.value)
    assert uri.split("@")[-1].split("?")[0].removeprefix("sqlite://") in str(caught.value)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("http://me:secret@host:5000/x", "http://host:5000/x"),
        ("postgresql+psycopg://me:se%2Fcret@db/mlflow refused", "postgresql+psycopg://db/mlflow refused"),
        ("at 'https://token@host/a' and https://host/b?token=secret.", "at 'https://host/a' and https://host/b"),
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
    ],
)
def test_credentials_are_removed_from_text(text, safe):
    assert without_secrets(text) == safe
