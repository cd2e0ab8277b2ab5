"""A registered detector: the data set and generator that it names, and the real samples that it learned from."""

from collections.abc import Iterator
from typing import Any

from pipeline_tasks.audit.chain import Audit, Link
from pipeline_tasks.audit.registered_files import files_link
from pipeline_tasks.errors import DataError, PublicationError
from pipeline_tasks.tracking.datasets import GENERATOR_MODEL_TAG
from pipeline_tasks.tracking.detectors import DATASET_MODEL_TAG, record_of
from pipeline_tasks.tracking.models import Models, ModelVersion
from pipeline_tasks.tracking.run import LOCK_TAG

Samples = dict[str, list[dict[str, Any]]]


def is_detector(found: ModelVersion) -> bool:
    """Tell a detector from a data set and a generator, by the name of its model."""
    return not found.model.endswith(("-dataset", "-generator"))


def detector_links(models: Models, found: ModelVersion) -> Iterator[Link]:
    """Yield whether what a detector was made of, by its tags, is registered, and of the same version."""
    for what, tag in (("data set", DATASET_MODEL_TAG), ("generator", GENERATOR_MODEL_TAG)):
        if uri := found.tags.get(tag):
            yield _origin(f"{found.model} version {found.number}: {what}", models, uri, found, tag == DATASET_MODEL_TAG)


def _origin(name: str, models: Models, uri: str, found: ModelVersion, of_version: bool) -> Link:
    origin = models.by_uri(uri)
    if origin is None:
        return Link(name, "broken", f"MLflow has no {uri}, which it names", "bring MLflow's database back")
    if of_version and origin.tags.get(LOCK_TAG) != found.tags.get(LOCK_TAG):
        what = f"{uri} is of version {origin.tags.get(LOCK_TAG)}, and it names version {found.tags.get(LOCK_TAG)}"
        return Link(name, "broken", what, "one of the two was changed after it was registered")
    return Link(name, "ok", f"{uri}, as it names it")


def samples_learned_from(models: Models, found: ModelVersion) -> tuple[Samples, Link]:
    """Return the real samples of a detector's own record, none where it cannot be had, and the link to it."""
    name = f"{found.model} version {found.number}: record"
    try:
        record = record_of(models, found)
        samples = {record["product"]: record["samples"]}
    except (PublicationError, DataError) as error:
        return {}, Link(name, "unchecked", f"it cannot be read: {error}", "bring MLflow's artifacts back")
    except KeyError as error:
        return {}, Link(name, "unchecked", f"an earlier defectline wrote it, without {error}", "retrain the detector")
    number = sum(map(len, samples.values()))
    return samples, Link(name, "ok", f"it names the {number} real samples that it learned from")


def audit_alone(asked: str, models: Models, found: ModelVersion) -> Audit:
    """Return the audit of a registered version that names no version of a data set: its files and its record.

    So are detectors that learned from real images alone. One that lacks even the tag was not registered here.
    """
    name = f"{found.model} version {found.number}: lock"
    if LOCK_TAG in found.tags:
        lock = Link(name, "ok", "none: it learned from real images alone, of no published version")
    else:
        what = f"it has no tag {LOCK_TAG}: the tag was removed, or it was not registered by defectline"
        lock = Link(name, "broken", what, "bring MLflow's database back, or promote another version")
    samples, record = samples_learned_from(models, found) if is_detector(found) else ({}, None)
    links = [lock, files_link(models, found), *([record] if record else [])]
    return Audit(asked, "", None, "", links, samples)
