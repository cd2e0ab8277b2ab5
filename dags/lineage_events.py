"""What a task tells OpenLineage: the data it reads and makes as datasets, versioned by DVC's MD5 of their content.

A dataset is one output of a stage, raw data, or what an Asset stands for. Its namespace is `dvc://` and the name of the
repository, its name the path there: the same on every machine. Airflow's OpenLineage provider is imported by nothing
but this file's functions, which nothing but that provider calls.
"""

import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pipeline_tasks.errors import DefectlineError, without_secrets
from pipeline_tasks.lineage.git import answer
from pipeline_tasks.lineage.graph import Graph, load_graph
from pipeline_tasks.lineage.lock_file import LOADER

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Asset
    from openlineage.client.event_v2 import InputDataset, OutputDataset
    from openlineage.client.facet_v2 import DatasetFacet, JobFacet

NAMESPACE = f"dvc://{os.environ.get('DEFECTLINE_NAMESPACE') or 'defectline'}"
"""Of all datasets. Repositories that report to the same server need different ones."""
SETTLE_S = 2.0
"""How long dvc.lock may lack what a task has made: DVC writes it in place, for a sibling as well."""
PUBLISHED = "dataset"
"""Name of the dataset that the published versions are versions of."""


def asset_name(asset: "Asset") -> str:
    """Return an Asset's name as a dataset: 'dataset' of dvc://defectline/dataset."""
    return asset.uri.rpartition("/")[2]


def planned(root: Path, reads: Iterable[str], makes: Iterable[str]) -> "OperatorLineage":
    """Return what a task that has not succeeded, or not yet, is about, without versions.

    reads, makes: paths in the repository at `root`, or names of Assets.
    """
    return _lineage(root, load_graph(root).sources(reads), makes, {})


def done(root: Path, reads: Iterable[str], makes: Iterable[str]) -> "OperatorLineage":
    """Return what a task that has succeeded has read and made, with the versions that dvc.lock knows by now."""
    graph, made = load_graph(root), tuple(makes)
    sources = graph.sources(reads)
    versions = _settled_versions(root, graph, {*sources, *made})
    if PUBLISHED in made:
        versions[PUBLISHED] = _published_version(root)
    return _lineage(root, sources, made, versions)


def _lineage(
    root: Path, sources: Mapping[str, tuple[str, ...]], makes: Iterable[str], versions: Mapping[str, str]
) -> "OperatorLineage":
    from airflow.providers.openlineage.extractors import OperatorLineage

    return OperatorLineage(
        inputs=[_input(name, parts, versions) for name, parts in sources.items()],
        outputs=[_output(name, versions) for name in makes],
        job_facets=_source_code(root),
    )


def _input(name: str, parts: tuple[str, ...], versions: Mapping[str, str]) -> "InputDataset":
    from openlineage.client.event_v2 import InputDataset
    from openlineage.client.facet_v2 import base_subset_dataset as subset

    condition = subset.LocationSubsetCondition(locations=list(parts))
    facets = {"subset": subset.InputSubsetInputDatasetFacet(inputCondition=condition)} if parts else {}
    return InputDataset(NAMESPACE, name, facets=_version(name, versions), inputFacets=facets)


def _output(name: str, versions: Mapping[str, str]) -> "OutputDataset":
    from openlineage.client.event_v2 import OutputDataset

    return OutputDataset(NAMESPACE, name, facets=_version(name, versions))


def _version(name: str, versions: Mapping[str, str]) -> "dict[str, DatasetFacet]":
    from openlineage.client.facet_v2 import dataset_version_dataset

    found = versions.get(name)
    return {"version": dataset_version_dataset.DatasetVersionDatasetFacet(found)} if found else {}


def _source_code(root: Path) -> "dict[str, JobFacet]":
    """Return where the code is and at which revision, if the repository has an origin."""
    from openlineage.client.facet_v2 import source_code_location_job

    with suppress(DefectlineError):
        if origin := answer(root, "remote", "get-url", "origin"):
            url, revision = without_secrets(origin), answer(root, "rev-parse", "HEAD")
            location = source_code_location_job.SourceCodeLocationJobFacet("git", url, repoUrl=url, version=revision)
            return {"sourceCodeLocation": location}
    return {}


def _settled_versions(root: Path, graph: Graph, names: set[str]) -> dict[str, str]:
    """Return the versions in dvc.lock, as soon as it has those of all data among `names`, or in the end without."""
    data = {path for stage in graph.stages for path in (*stage.inputs, *stage.outputs)} & names
    deadline = time.monotonic() + SETTLE_S
    versions = _versions(root, graph)
    while not data <= versions.keys() and time.monotonic() < deadline:
        time.sleep(0.1)
        versions = _versions(root, graph)
    return versions


def _versions(root: Path, graph: Graph) -> dict[str, str]:
    """Return DVC's MD5 of every output and dependency in dvc.lock, by path; an output's is that of who made it."""
    try:
        text = (root / "dvc.lock").read_text()
        stages: dict[str, Any] = yaml.load(text, Loader=LOADER)["stages"]  # noqa: S506 - a SafeLoader
        entries = [stages[stage.name] for stage in graph.stages if stage.name in stages]
        items = [item for kind in ("deps", "outs") for entry in entries for item in entry.get(kind, [])]
        return {item["path"]: item["md5"] for item in items if "md5" in item}
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError):  # not there yet, or half written
        return {}


def _published_version(root: Path) -> str:
    """Return the version that dvc.lock is; "" where it cannot be told."""
    from pipeline_tasks.catalog import load_catalog
    from pipeline_tasks.lineage.lock import load_lock

    with suppress(DefectlineError):
        return load_lock(root, load_catalog(root / "catalog.yaml")).version
    return ""
