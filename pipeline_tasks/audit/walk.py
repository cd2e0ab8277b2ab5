"""The whole chain of a version: MLflow, git, lineage.json, remote, stages, rows, raw samples, pairs made again."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline_tasks.audit.chain import Audit, Link, some
from pipeline_tasks.audit.code_link import code_link
from pipeline_tasks.audit.detector_links import is_detector, samples_learned_from
from pipeline_tasks.audit.git_links import git_links
from pipeline_tasks.audit.mlflow_links import mlflow_links
from pipeline_tasks.audit.object_links import object_links, outputs_of
from pipeline_tasks.audit.raw_links import raw_link
from pipeline_tasks.audit.record_links import read_record
from pipeline_tasks.audit.regeneration import regeneration_links
from pipeline_tasks.audit.row_links import row_links
from pipeline_tasks.audit.sample_links import sample_links
from pipeline_tasks.audit.stage_links import Ground, stage_links
from pipeline_tasks.errors import PublicationError
from pipeline_tasks.lineage.files import RECORD
from pipeline_tasks.lineage.lock import Output
from pipeline_tasks.lineage.objects import Objects
from pipeline_tasks.lineage.releases import release_of
from pipeline_tasks.lineage.snapshot import Snapshot, unpacked
from pipeline_tasks.tracking.models import Models, ModelVersion
from pipeline_tasks.tracking.run import LOCK_TAG


@dataclass(frozen=True)
class Subject:
    """What is audited. asked: by which name; registered: the version of a registered model that was asked for."""

    asked: str
    snapshot: Snapshot
    registered: ModelVersion | None = None


@dataclass(frozen=True)
class Means:
    """What an audit may use. objects: the remote's. models: MLflow's; where there are none, a sentence says why.

    remake: how many pairs are made again; on_gpu: whether that is done on a GPU. advance: called now and then with what
    was done.
    """

    root: Path
    objects: Objects
    models: Models | str
    remake: int
    on_gpu: bool
    advance: Callable[[str], object]


@dataclass
class _Walk:
    """The links found so far, and the real samples."""

    means: Means
    links: list[Link] = field(default_factory=list)
    samples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, link: Link) -> None:
        self.links.append(link)
        self.means.advance(link.name)


def audit(subject: Subject, means: Means) -> Audit:
    """Walk a version's chain and return the verdict on every link; a broken one does not end the walk.

    Raises TransientError if the remote cannot be read, DataError if git cannot.
    """
    snapshot, walk = subject.snapshot, _Walk(means)
    for link in [*_registered(subject), *_mlflow(means, snapshot)]:
        walk.add(link)
    record, links = read_record(means.root, snapshot, means.objects)
    for link in [*git_links(means.root, snapshot, means.objects), *links]:
        walk.add(link)
    for link in object_links(means.objects, _outputs(snapshot)):
        walk.add(link)
    with unpacked(means.root, snapshot.revision) as tree:
        ground = Ground(snapshot.lock, means.objects, tree)
        for link in _contents(walk, ground, snapshot, record):
            walk.add(link)
    _take_learned(walk, subject)
    release = release_of(means.root, snapshot.lock.version)
    number = release.number if release else None
    return Audit(subject.asked, snapshot.lock.version, number, snapshot.revision, walk.links, walk.samples)


def _take_learned(walk: _Walk, subject: Subject) -> None:
    """Of a detector, let the samples be those that it learned from itself, which may be of a later version."""
    found, models = subject.registered, walk.means.models
    if found is None or isinstance(models, str) or not is_detector(found):
        return
    samples, link = samples_learned_from(models, found)
    walk.add(link)
    walk.samples = samples or walk.samples


def _registered(subject: Subject) -> Iterator[Link]:
    """Yield whether the commit that is audited holds what the registered version names."""
    if (found := subject.registered) is None:
        return
    name, named = f"{found.model} version {found.number}: lock", found.tags.get(LOCK_TAG)
    if named == subject.snapshot.lock.version:
        yield Link(name, "ok", f"MLflow and git name the same version, {named}")
    else:
        there = f"the dvc.lock at {subject.snapshot.revision[:12]} is of {subject.snapshot.lock.version}"
        yield Link(name, "broken", f"MLflow names version {named}, and {there}", "put git's tag back where it was")


def _mlflow(means: Means, snapshot: Snapshot) -> Iterator[Link]:
    if isinstance(means.models, str):
        yield Link("MLflow", "unchecked", means.models, "set MLFLOW_TRACKING_URI to look at registered models")
        return
    try:
        yield from mlflow_links(means.models, means.root, snapshot)
    except PublicationError as error:
        yield Link("MLflow", "unchecked", str(error), "start it to look at registered models")


def _outputs(snapshot: Snapshot) -> dict[str, Output]:
    """Return all that DVC keeps of the version, lineage.json among it."""
    record = {RECORD: Output(Path(RECORD), snapshot.record)} if snapshot.record else {}
    return outputs_of(snapshot.lock) | record


def _contents(walk: _Walk, ground: Ground, snapshot: Snapshot, record: dict[str, Any] | None) -> Iterator[Link]:
    """Yield the links within the data: stages, samples, rows, code, raw files, pairs made again."""
    means, catalog = walk.means, snapshot.catalog
    raw = {product: item.path for product, item in catalog.products.items()}
    stages = list(stage_links(ground, raw))
    yield from stages
    for link, product, samples in sample_links(ground, catalog, record):
        walk.samples[product] = samples
        yield link
    made_by: set[str] = set()
    for link, revisions in row_links(ground, catalog, record):
        made_by |= revisions
        yield link
    own_code_holds = all(link.verdict == "ok" for link in stages if link.name.startswith("stage generate@"))
    yield code_link(means.root, snapshot.revision, made_by, own_code_holds)
    for product, item in catalog.products.items():
        yield raw_link(ground, product, item, means.root)
    if means.remake:
        yield from regeneration_links(ground, catalog, means.remake, means.on_gpu, _distrusted(walk.links))


def _distrusted(links: Sequence[Link]) -> str | None:
    """Return why the code of the version is not to be run; None where git's links hold."""
    broken = [link.name for link in links if link.verdict == "broken" and link.name.startswith("git ")]
    return f"the code at its commit is not to be trusted: {some(broken, ', ')} broken" if broken else None
