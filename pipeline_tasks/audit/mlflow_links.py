"""What MLflow has registered of a version: whether it names the same lock and commit, and its files are the same."""

from collections.abc import Iterator
from pathlib import Path

from pipeline_tasks.audit.chain import Link
from pipeline_tasks.audit.detector_links import detector_links
from pipeline_tasks.audit.registered_files import files_link
from pipeline_tasks.errors import DataError
from pipeline_tasks.lineage.releases import PREFIX, release_of, releases
from pipeline_tasks.lineage.snapshot import Snapshot, snapshot_at
from pipeline_tasks.tracking.datasets import DATASET, GIT_TAG, RELEASE_TAG
from pipeline_tasks.tracking.models import Models, ModelVersion, model_name
from pipeline_tasks.tracking.run import DIGEST_TAG, LOCK_TAG

PUBLISH = "`defectline publish` registers a version after it has committed it"


def mlflow_links(models: Models, root: Path, snapshot: Snapshot) -> Iterator[Link]:
    """Yield a link for each registered data set, generator and detector of a version.

    Raises PublicationError if MLflow cannot be read.
    """
    registered = {name: models.versions(name) for name in models.names()}
    lock, catalog = snapshot.lock, snapshot.catalog
    for generator in catalog.generators:
        name, digest = model_name(generator, "generator"), lock.output(f"train@{generator}").md5
        of_digest = [one for one in registered.get(name, []) if one.tags.get(DIGEST_TAG) == digest]
        yield from (files_link(models, one, (".", digest)) for one in of_digest)
        if not of_digest:
            yield Link(name, "unchecked", f"MLflow has no version of it with the digest {digest}", PUBLISH)
    for product in catalog.products:
        data, own = model_name(product, DATASET), f"defectline-{product}-"
        of_version = {
            name: [one for one in versions if one.tags.get(LOCK_TAG) == lock.version]
            for name, versions in registered.items()
            if name.startswith(own) and not name.endswith("-generator")
        }
        if not of_version.get(data):
            yield Link(data, "unchecked", f"MLflow has no version of it with this lock, {lock.version}", PUBLISH)
        for one in of_version.pop(data, []):
            yield _commit(root, one, snapshot)
            yield files_link(models, one, ("choice.json", lock.output(f"choose@{product}").md5))
        for one in (one for versions in of_version.values() for one in versions):
            yield files_link(models, one)
            yield from detector_links(models, one)


def _commit(root: Path, found: ModelVersion, snapshot: Snapshot) -> Link:
    """Return whether MLflow and git name the same commit, and the same release."""
    name, revision = f"{found.model} version {found.number}: git revision", found.tags.get(GIT_TAG, "")
    release, number = release_of(root, snapshot.lock.version), found.tags.get(RELEASE_TAG)
    at = release.revision if release else snapshot.revision
    what = f"MLflow names {revision[:12] or 'none'}, in git the version is at {at[:12]}"
    if number and releases(root) and (release is None or str(release.number) != number):
        there = release.tag if release else "no tag names the version"
        return Link(name, "broken", f"MLflow names {PREFIX}{number}, in git {there}", "restore the tags")
    if revision == at:
        return Link(name, "ok", f"MLflow and git name the same, {revision[:12]}")
    try:
        holds_it = snapshot_at(root, revision or "(none)").lock.version == snapshot.lock.version
    except DataError:
        holds_it = False
    if holds_it and release:
        return Link(name, "broken", f"{what}: the tag was rewritten", "put the tag back where MLflow says")
    if holds_it:
        return Link(name, "ok", f"MLflow names {revision[:12]}, whose lock is of this version")
    return Link(name, "unchecked", f"{what}: it was registered before its lock was committed", PUBLISH)
