"""Versions in MLflow: one run per version, its data sets, and its generators as registered models.

Every step looks first for what an interrupted call left behind, so that calling again completes the run instead of
making another.
"""

import json
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

import pandas as pd

from pipeline_tasks.tracking.datasets import GIT_TAG
from pipeline_tasks.tracking.models import Models, ModelVersion
from pipeline_tasks.tracking.run import DIGEST_TAG, LOCK_TAG, REVISION_TAG, Run
from pipeline_tasks.tracking.store import client_of, errors_named, names_errors

Item = TypeVar("Item")
CONTEXT = "mlflow.data.context"
"""Tag of an input: what a data set is to the run."""
REGISTERED_TAG = "mlflow.modelVersions"
"""Tag of a logged model by which MLflow's pages lead to the versions that it is registered as."""
ITEMS_PER_CALL = 100
"""MLflow takes at most 100 parameters at a time."""


@dataclass(frozen=True)
class Dataset:
    """The pairs of one defect, or a product's base samples, as what a run had at hand.

    digest: DVC's MD5. source: the URI that MLflow fetches the files by; of the same files under the same name it keeps
    the one that it was given first. manifest: their rows without pixels.
    """

    name: str
    digest: str
    source: str
    manifest: pd.DataFrame
    context: Literal["pairs", "base"]


@dataclass(frozen=True)
class Generator:
    """A trained generator: a folder of files, DVC's MD5 of it, and what it is, in Markdown.

    The folder is registered as it is, so that its files can be held against the digest.
    """

    name: str
    digest: str
    folder: Path
    card: str


@dataclass(frozen=True)
class Record:
    """What is recorded of a version; `files` is a folder of artifacts.

    models: the registered versions that it was made with or that were made of it; MLflow links both to the run.
    curves: metrics that have a value at each of some steps.
    """

    params: Mapping[str, str]
    metrics: Mapping[str, float]
    datasets: Sequence[Dataset]
    models: Sequence[ModelVersion]
    files: Path
    curves: Mapping[str, Mapping[int, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Recorded:
    """What MLflow holds of a version: its parameters, its metrics, and its pairs' digests by name."""

    version: str
    created: datetime
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    datasets: Mapping[str, str]


@contextmanager
def connect(uri: str, experiment: str, artifacts: Path | None) -> Iterator["Registry"]:
    """Open the MLflow store at `uri` for the versions of `experiment`.

    `artifacts` is where a new experiment keeps its files; None leaves that to the server. Raises PublicationError,
    free of credentials, if MLflow cannot be reached or refuses.
    """
    with client_of(uri) as client:
        with errors_named(uri):
            client.get_experiment_by_name(experiment)  # a store out of reach is told here, before anything is done
        yield Registry(client, uri, experiment, artifacts)


class Registry:
    """The versions of one experiment; made by `connect`."""

    def __init__(self, client: Any, uri: str, experiment: str, artifacts: Path | None) -> None:
        self._client = client
        self.uri = uri
        self.models = Models(client, uri)
        self._experiment = experiment
        self._artifacts = artifacts

    @names_errors
    def begin(self, version: str, tags: Mapping[str, str], key: str = LOCK_TAG) -> Run:
        """Return the run of `version`, created with `tags` if there is none; `key` is the tag that it is found by."""
        found = self._client.get_experiment_by_name(self._experiment)
        experiment_id = found.experiment_id if found else self._create_experiment()
        runs = self._client.search_runs([experiment_id], f"tags.`{key}` = '{version}'", max_results=1)
        tags = {**tags, key: version}
        run = runs[0] if runs else self._client.create_run(experiment_id, tags=tags, run_name=version)
        return Run(run.info.run_id, experiment_id, _created(run), run.data.tags, run.info.status == "FINISHED")

    def _create_experiment(self) -> str:
        location = self._artifacts.resolve().as_uri() if self._artifacts else None
        return str(self._client.create_experiment(self._experiment, location))

    @names_errors
    def previous(self, run: Run) -> Recorded | None:
        """Return the version that was registered last before the one of `run` was begun; None for the first."""
        before = f"attributes.status = 'FINISHED' and attributes.end_time < {_milliseconds(run.created)}"
        query, newest = f"{before} and tags.`{LOCK_TAG}` != ''", ["attributes.end_time DESC"]
        found = self._client.search_runs([run.experiment_id], query, order_by=newest, max_results=1)
        return _recorded(found[0]) if found else None

    @names_errors
    def enter_generator(self, run: Run, generator: Generator) -> ModelVersion:
        """Return a generator's registered version: a new one, made by `run`, if its content is new."""
        git = {GIT_TAG: run.tags.get(REVISION_TAG, "")}
        tags = {DIGEST_TAG: generator.digest, LOCK_TAG: run.tags[LOCK_TAG], **git}
        return self.models.register(run, generator.name, generator.folder, DIGEST_TAG, tags, generator.card)

    @names_errors
    def share_datasets(self, run: Run, version: ModelVersion, names: Collection[str]) -> None:
        """Let a run have as its own those data sets of the run that made `version` which are called so."""
        theirs = self._client.get_run(version.run_id).inputs.dataset_inputs
        shared = [given for given in theirs if given.dataset.name in names]
        self._client.log_inputs(run.run_id, datasets=shared)

    @names_errors
    def complete(self, run: Run, record: Record) -> None:
        """Record everything in `run` and mark it finished; what is there already stays."""
        self._log_values(run, record)
        for dataset in record.datasets:
            self._client.log_inputs(run.run_id, datasets=[_dataset_input(dataset)])
        self._link(run, record.models)
        self._client.log_artifacts(run.run_id, str(record.files))
        self._client.set_terminated(run.run_id, "FINISHED")

    def _log_values(self, run: Run, record: Record) -> None:
        from mlflow.entities import Metric, Param

        known = self._client.get_run(run.run_id).data.params  # MLflow refuses to change a parameter
        stamp = _milliseconds(run.created)
        for some in _portions([Param(k, v) for k, v in record.params.items() if k not in known]):
            self._client.log_batch(run.run_id, params=some)
        points = [(name, 0, value) for name, value in record.metrics.items()]
        points += [(name, step, value) for name, curve in record.curves.items() for step, value in curve.items()]
        for measured in _portions([Metric(name, value, stamp, step) for name, step, value in points]):
            self._client.log_batch(run.run_id, metrics=measured)

    def _link(self, run: Run, models: Sequence[ModelVersion]) -> None:
        """Link models to a run: as outputs those that it made, as inputs those that were there before it."""
        from mlflow.entities import LoggedModelInput, LoggedModelOutput

        made = {version.model_id: version for version in models if version.run_id == run.run_id}
        for model_id, version in made.items():
            registered = json.dumps([{"name": version.model, "version": version.number}])
            self._client.set_logged_model_tags(model_id, {REGISTERED_TAG: registered})
        linked = {output.model_id for output in self._client.get_run(run.run_id).outputs.model_outputs}
        if new := [model_id for model_id in made if model_id not in linked]:  # MLflow refuses to link one twice
            self._client.log_outputs(run.run_id, [LoggedModelOutput(model_id, 0) for model_id in new])
        read = [LoggedModelInput(version.model_id) for version in models if version.model_id not in made]
        self._client.log_inputs(run.run_id, models=read)


def _portions(items: list[Item]) -> Iterator[list[Item]]:
    return (items[i : i + ITEMS_PER_CALL] for i in range(0, len(items), ITEMS_PER_CALL))


def _created(run: Any) -> datetime:
    return datetime.fromtimestamp(run.info.start_time / 1000, UTC)


def _milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)


def _recorded(run: Any) -> Recorded:
    digests = {data.dataset.name: data.dataset.digest for data in run.inputs.dataset_inputs if _is_of_pairs(data)}
    return Recorded(run.data.tags[LOCK_TAG], _created(run), run.data.params, run.data.metrics, digests)


def _is_of_pairs(data: Any) -> bool:
    return any(tag.key == CONTEXT and tag.value == "pairs" for tag in data.tags)


def _dataset_input(dataset: Dataset) -> Any:
    import mlflow
    from mlflow.entities import DatasetInput, InputTag

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # hints about integer columns and about local paths as sources
        data = mlflow.data.from_pandas(
            dataset.manifest, source=dataset.source, name=dataset.name, digest=dataset.digest
        )
        entity = data._to_mlflow_entity()
    return DatasetInput(entity, [InputTag(CONTEXT, dataset.context)])
