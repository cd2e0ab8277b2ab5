"""Versions in MLflow: one run per version, its data sets, and its generators as registered models.

Only this module knows MLflow. Every step looks first for what an interrupted call left behind, so that calling again
completes the run instead of making another.
"""

import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from pipeline_tasks.errors import PublicationError, refusals_named, without_secrets

LOCK_TAG = "defectline.lock"
DIGEST_TAG = "defectline.digest"
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # an unreachable server is given up on in seconds
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # it would show the credentials in the URI
}
Item = TypeVar("Item")
SQL_SCHEMES = ("sqlite", "postgresql", "mysql", "mssql")
ITEMS_PER_CALL = 100
"""MLflow takes at most 100 parameters at a time."""


@dataclass(frozen=True)
class Dataset:
    """The pairs of one defect: `digest` is DVC's MD5 of `source`, `manifest` its rows without pixels."""

    name: str
    digest: str
    source: str
    manifest: pd.DataFrame


@dataclass(frozen=True)
class Generator:
    """A trained generator: a folder of files, and DVC's MD5 of it."""

    name: str
    digest: str
    folder: Path


@dataclass(frozen=True)
class Run:
    """The MLflow run of a version."""

    run_id: str
    experiment_id: str
    created: datetime
    tags: Mapping[str, str]
    finished: bool


@dataclass(frozen=True)
class Record:
    """What is recorded of a version; `files` is a folder of artifacts."""

    params: Mapping[str, str]
    metrics: Mapping[str, float]
    datasets: Sequence[Dataset]
    generators: Sequence[Generator]
    files: Path


@contextmanager
def connect(uri: str, experiment: str, artifacts: Path | None) -> Iterator["Registry"]:
    """Open the MLflow store at `uri` for the versions of `experiment`.

    `artifacts` is where a new experiment keeps its files; None leaves that to the server. Raises PublicationError,
    free of credentials, if MLflow cannot be reached or refuses.
    """
    if not uri.partition("://")[0].startswith((*SQL_SCHEMES, "http")):
        raise PublicationError(
            f"MLflow at {without_secrets(uri)}: not a database or a server, and MLflow has given up its file store; "
            "set MLFLOW_TRACKING_URI to sqlite:///FILE or http://HOST:PORT, or unset it"
        )
    os.environ.update(SETTINGS)
    before = os.environ.get("MLFLOW_TRACKING_URI")
    import mlflow

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    mlflow.set_tracking_uri(uri)
    try:
        with _errors_named(uri):
            registry = Registry(uri, experiment, artifacts)
        yield registry
    finally:
        mlflow.set_tracking_uri(before)


@contextmanager
def _errors_named(uri: str) -> Iterator[None]:
    """Raise what MLflow and its database raise as a PublicationError that says where and what to do."""
    from mlflow import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with refusals_named():
            yield
    except (MlflowException, SQLAlchemyError, ImportError, OSError) as error:
        reason = without_secrets((str(error) or repr(error)).splitlines()[0])
        raise PublicationError(
            f"MLflow at {without_secrets(uri)}: {reason}; {_remedy(uri)}, then run `defectline register` again: "
            "what is already done is not repeated"
        ) from error


def _remedy(uri: str) -> str:
    return (
        "make it writable and free space there"
        if uri.startswith("sqlite")
        else "start it or correct MLFLOW_TRACKING_URI"
    )


class Registry:
    """The versions of one experiment; made by `connect`."""

    def __init__(self, uri: str, experiment: str, artifacts: Path | None) -> None:
        if uri.startswith(SQL_SCHEMES):
            _try_database(uri)
        from mlflow import MlflowClient

        self._uri = uri
        self._client = MlflowClient()
        found = self._client.get_experiment_by_name(experiment)
        location = artifacts.resolve().as_uri() if artifacts else None
        self._experiment_id = found.experiment_id if found else self._client.create_experiment(experiment, location)

    def begin(self, version: str, tags: Mapping[str, str]) -> Run:
        """Return the run of `version`, created with `tags` if there is none."""
        with _errors_named(self._uri):
            runs = self._client.search_runs([self._experiment_id], f"tags.`{LOCK_TAG}` = '{version}'", max_results=1)
            tags = {**tags, LOCK_TAG: version}
            run = runs[0] if runs else self._client.create_run(self._experiment_id, tags=tags, run_name=version)
        created = datetime.fromtimestamp(run.info.start_time / 1000, UTC)
        return Run(run.info.run_id, self._experiment_id, created, run.data.tags, run.info.status == "FINISHED")

    def complete(self, run: Run, record: Record) -> None:
        """Record everything in `run` and mark it finished; what is there already stays."""
        with _errors_named(self._uri):
            self._log_values(run, record.params, record.metrics)
            for dataset in record.datasets:
                self._client.log_inputs(run.run_id, datasets=[_dataset_input(dataset)])
            for generator in record.generators:
                self._link(run, self._registered(run, generator))
            self._client.log_artifacts(run.run_id, str(record.files))
            self._client.set_terminated(run.run_id, "FINISHED")

    def _log_values(self, run: Run, params: Mapping[str, str], metrics: Mapping[str, float]) -> None:
        from mlflow.entities import Metric, Param

        known = self._client.get_run(run.run_id).data.params  # MLflow refuses to change a parameter
        stamp = int(run.created.timestamp() * 1000)
        for some in _portions([Param(k, v) for k, v in params.items() if k not in known]):
            self._client.log_batch(run.run_id, params=some)
        for measured in _portions([Metric(k, v, stamp, 0) for k, v in metrics.items()]):
            self._client.log_batch(run.run_id, metrics=measured)

    def _registered(self, run: Run, generator: Generator) -> str:
        """Return the id of the generator's model, registered as a new version if its content is new."""
        tagged = f"tag.`{DIGEST_TAG}` = '{generator.digest}'"
        versions = self._client.search_model_versions(f"name = '{generator.name}' and {tagged}")
        if versions:
            return str(versions[0].source).removeprefix("models:/")
        model = self._uploaded(run, generator)
        if not self._client.search_registered_models(f"name = '{generator.name}'"):
            self._client.create_registered_model(generator.name)
        tags = {DIGEST_TAG: generator.digest, LOCK_TAG: run.tags[LOCK_TAG]}
        self._client.create_model_version(generator.name, model.model_uri, run.run_id, tags, model_id=model.model_id)
        return str(model.model_id)

    def _uploaded(self, run: Run, generator: Generator) -> Any:
        """Return the generator as a logged model; one whose upload was cut short is passed over."""
        tags = {DIGEST_TAG: generator.digest}
        found = self._client.search_logged_models([run.experiment_id], f"tags.`{DIGEST_TAG}` = '{generator.digest}'")
        ready = [model for model in found if model.name == generator.name and model.status == "READY"]
        if ready:
            return ready[0]
        model = self._client.create_logged_model(run.experiment_id, generator.name, run.run_id, tags)
        self._client.log_model_artifacts(model.model_id, str(generator.folder))
        return self._client.finalize_logged_model(model.model_id, "READY")

    def _link(self, run: Run, model_id: str) -> None:
        from mlflow.entities import LoggedModelInput

        self._client.log_inputs(run.run_id, models=[LoggedModelInput(model_id)])


def _portions(items: list[Item]) -> Iterator[list[Item]]:
    return (items[i : i + ITEMS_PER_CALL] for i in range(0, len(items), ITEMS_PER_CALL))


def _try_database(uri: str) -> None:
    """Connect once, because MLflow would try for minutes; a new SQLite file gets its folder."""
    from sqlalchemy import create_engine, make_url

    url = make_url(uri)
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url)
    try:
        engine.connect().close()
    finally:
        engine.dispose()


def _dataset_input(dataset: Dataset) -> Any:
    import mlflow
    from mlflow.entities import DatasetInput, InputTag

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # hints about integer columns and about local paths as sources
        data = mlflow.data.from_pandas(
            dataset.manifest, source=dataset.source, name=dataset.name, digest=dataset.digest
        )
        entity = data._to_mlflow_entity()
    return DatasetInput(entity, [InputTag("mlflow.data.context", "pairs")])
