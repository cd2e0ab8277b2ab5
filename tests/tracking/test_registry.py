import json
import os
from dataclasses import replace

import pandas as pd
import pytest
from mlflow import MlflowClient

from pipeline_tasks.errors import PublicationError, without_secrets
from pipeline_tasks.lineage.lock import md5_of
from pipeline_tasks.storage import content_digest
from pipeline_tasks.tracking.artifacts import downloaded
from pipeline_tasks.tracking.registry import Dataset, Generator, Record, connect

DIGEST = "0123456789abcdef0123456789abcdef.dir"
SOURCE = f"dvc://data/pairs/plate/pit?rev={'a' * 40}&md5={DIGEST}&repo=https://example.org/plates.git"
STEPS = [
    "log_batch",
    "log_inputs",
    "set_logged_model_tags",
    "log_outputs",
    "create_logged_model",
    "log_model_artifacts",
    "finalize_logged_model",
    "create_registered_model",
    "create_model_version",
    "log_artifacts",
    "set_terminated",
]


@pytest.fixture
def record(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "report.html").write_text("<html>")
    manifest = pd.DataFrame({"pair_id": ["plate/pit/0", "plate/pit/1"], "warp": [[1.0, 0.0]] * 2, "seed": [3, 4]})
    return Record(
        params={"train.steps": "400"},
        metrics={"plate/real_only/pixel_ap_mean": 0.25},
        datasets=[Dataset("plate/pit", DIGEST, SOURCE, manifest, "pairs")],
        models=[],
        files=tmp_path / "files",
    )


@pytest.fixture
def generator(tmp_path, request):
    (tmp_path / "model" / "unet").mkdir(parents=True)
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "model" / "unet" / "weights").write_bytes(bytes(range(256)))
    name = f"generator of {request.node.name}"
    return Generator(name, md5_of(tmp_path / "model"), tmp_path / "model", "# What it is")


def publish(uri, store, version, record, *generators):
    with connect(uri, "defectline", store / "artifacts") as registry:
        run = registry.begin(version, {"defectline.git_dirty": "false", "mlflow.source.git.commit": "abc"})
        made = [registry.enter_generator(run, generator) for generator in generators]
        if not run.finished:
            registry.complete(run, replace(record, models=made))
    return run


def runs_of(client, version):
    experiment = client.get_experiment_by_name("defectline")
    return client.search_runs([experiment.experiment_id], f"tags.`defectline.lock` = '{version}'")


def versions_of(client, generator):
    return client.search_model_versions(f"name = '{generator.name}'")


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


def test_the_dataset_carries_dvcs_md5_and_where_it_is_fetched_from(uri, store, record):
    run = publish(uri, store, "dataset", record)
    (data,) = MlflowClient(uri).get_run(run.run_id).inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("plate/pit", DIGEST)
    assert (data.dataset.source_type, json.loads(data.dataset.source)) == ("dvc", {"uri": SOURCE})
    assert {tag.key: tag.value for tag in data.tags} == {"mlflow.data.context": "pairs"}
    assert '"num_rows": 2' in data.dataset.profile


def test_a_generator_is_an_output_of_the_run_that_made_it_and_an_input_of_later_ones(uri, store, record, generator):
    first, second = (publish(uri, store, version, record, generator) for version in ("made it", "had it"))
    client = MlflowClient(uri)
    (version,) = versions_of(client, generator)
    assert (version.run_id, version.description) == (first.run_id, "# What it is")
    told = {tag.removeprefix("defectline."): value for tag, value in version.tags.items()}
    assert (told["digest"], told["lock"], told["git_revision"]) == (generator.digest, "made it", "abc")
    runs, model_id = [client.get_run(run.run_id) for run in (first, second)], version.source.removeprefix("models:/")
    assert [[model.model_id for model in run.outputs.model_outputs] for run in runs] == [[model_id], []]
    assert [[model.model_id for model in run.inputs.model_inputs] for run in runs] == [[], [model_id]]


def test_a_generators_files_lead_to_the_version_that_they_are_registered_as(registry, uri, store, record, generator):
    publish(uri, store, "led to", record, generator)
    (version,) = registry.models.versions(generator.name)
    tags = MlflowClient(uri).get_logged_model(version.model_id).tags
    assert json.loads(tags["mlflow.modelVersions"]) == [{"name": generator.name, "version": "1"}]


def test_a_generators_files_come_back_with_dvcs_digest(registry, store, uri, record, generator):
    publish(uri, store, "files", record, generator)
    (version,) = registry.models.versions(generator.name)
    with downloaded(registry.models, version) as folder:
        assert md5_of(folder) == version.tags["defectline.digest"]
        assert content_digest(folder) == version.tags["defectline.files_digest"]


def test_publishing_twice_changes_nothing(uri, store, record, generator):
    first, second = (publish(uri, store, "twice", record, generator) for _ in range(2))
    assert (first.run_id, first.created) == (second.run_id, second.created)
    assert (first.finished, second.finished) == (False, True)
    client = MlflowClient(uri)
    assert len(runs_of(client, "twice")) == len(versions_of(client, generator)) == 1


def test_an_unchanged_generator_gets_no_second_version(uri, store, record, generator):
    publish(uri, store, "unchanged 1", record, generator)
    publish(uri, store, "unchanged 2", record, replace(generator, card="# Another card"))
    (version,) = versions_of(MlflowClient(uri), generator)
    assert version.description == "# What it is"


def test_another_run_may_share_data_sets_by_name(registry, uri, store, record, generator):
    other = replace(record.datasets[0], name="plate/scratch", digest=f"{'1' * 32}.dir")
    publish(uri, store, "shared", replace(record, datasets=[*record.datasets, other]), generator)
    run = registry.begin("sharing", {})
    (version,) = registry.models.versions(generator.name)
    for _ in range(2):
        registry.share_datasets(run, version, ["plate/scratch", "plate/stain"])
    (data,) = MlflowClient(uri).get_run(run.run_id).inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("plate/scratch", other.digest)
    assert {tag.key: tag.value for tag in data.tags} == {"mlflow.data.context": "pairs"}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_that_was_killed_is_completed_by_the_next_call(uri, store, record, generator, monkeypatch, step, when):
    real = getattr(MlflowClient, step)

    def killed(*args, **kwargs):
        if when == "after":
            real(*args, **kwargs)
        raise KeyboardInterrupt

    version = f"killed {when} {step}"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(MlflowClient, step, killed)
        publish(uri, store, version, record, generator)
    publish(uri, store, version, record, generator)
    client = MlflowClient(uri)
    (run,) = runs_of(client, version)
    assert run.info.status == "FINISHED"
    whole = client.get_run(run.info.run_id)
    assert (len(whole.inputs.dataset_inputs), len(whole.outputs.model_outputs)) == (1, 1)
    assert len(versions_of(client, generator)) == 1
    assert whole.data.metrics
    assert client.list_artifacts(run.info.run_id)


def test_the_version_before_is_the_last_one_that_was_finished(uri, store, record):
    base = replace(record.datasets[0], name="plate, base samples", context="base")
    record = replace(record, datasets=[*record.datasets, base])
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
    assert previous.datasets == {"plate/pit": DIGEST}, "and not the base samples"


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
