"""Where one real sample is, over all published versions: in which data sets, generators and registered models.

A sample is its content: renamed, it is the same one. A release whose lineage.json cannot be had is named, for what it
holds is not known.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline_tasks.audit.sample_use import RealSample, Record, Use, origin_of, real_samples, rows_of, uses_of
from pipeline_tasks.audit.traced_models import ModelUse, TracedModels, Versions, how_it_depends, why_unknown
from pipeline_tasks.errors import DefectlineError
from pipeline_tasks.lineage.objects import Objects
from pipeline_tasks.lineage.record import load_record
from pipeline_tasks.lineage.releases import Release, releases
from pipeline_tasks.lineage.snapshot import snapshot_at

SHORTEST_PREFIX = 8
"""Hex digits of a SHA-256 by which a sample may be called."""
NO_RECORD = "it has no lineage.json: it was published before there was one, or not by `defectline publish`"
Naming = Callable[[str, str, str], bool]
"""Tells whether a product, a source_path and a SHA-256 are those of the sample that was asked for."""


@dataclass(frozen=True)
class ReleaseUse:
    """A release, and what it makes of each sample that was asked for; nothing where it has none of them."""

    number: int
    tag: str
    version: str
    revision: str
    uses: Sequence[Use]


@dataclass(frozen=True)
class Unchecked:
    """What could not be looked at, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class Trace:
    """Where the samples are that `asked` names.

    releases: those that could be checked. models: the registered models that depend on the samples. unchecked: releases
    and registered models that may depend on them, too.
    """

    asked: str
    samples: Sequence[RealSample]
    releases: Sequence[ReleaseUse]
    models: Sequence[ModelUse]
    unchecked: Sequence[Unchecked]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return asdict(self)


def trace(root: Path, objects: Objects, asked: str, models: TracedModels) -> Trace:
    """Return where a sample is, in the releases of the repository at `root` and in registered models.

    asked: a source_path, with or without "PRODUCT/" before it, a SHA-256 (hex) or at least its first 8 digits, or a
    file on this machine. A counterpart stands for the sample that it is made from.
    """
    digests = _digests(root, objects, naming(asked), models)
    samples: dict[tuple[str, str, str], RealSample] = {}
    found, generators, unchecked = [], set[str](), []
    for release, record in _records(root, objects):
        if isinstance(record, str):
            unchecked.append(Unchecked(release.tag, record))
            continue
        samples |= {s.key: s.joined(samples.get(s.key, s)) for s in real_samples(record, digests)}
        generators |= {made["digest"] for made in record["generators"].values()}
        place = (release.number, release.tag, record["version"], release.revision)
        found.append(ReleaseUse(*place, uses_of(record, digests)))
    versions = Versions({release.version: release.uses for release in found}, generators)
    used = [ModelUse.of(model, how) for model in models.models if (how := how_it_depends(model, versions, digests))]
    unchecked += _unknown(models, versions, {(model.model, model.number) for model in used})
    return Trace(asked, list(samples.values()), found, used, unchecked)


def naming(asked: str) -> Naming:
    """Return what tells the sample that `asked` names; see `trace`."""
    own = _sha256(Path(asked))

    def is_named(product: str, source_path: str, sha256: str) -> bool:
        by_prefix = len(asked) >= SHORTEST_PREFIX and sha256.startswith(asked.lower())
        return asked in (source_path, f"{product}/{source_path}") or sha256 == own or by_prefix

    return is_named


def _sha256(file: Path) -> str | None:
    """Return a file's SHA-256; None where no file can be read. A name may be too long for one."""
    with suppress(OSError), file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
    return None


def _digests(root: Path, objects: Objects, is_named: Naming, models: TracedModels) -> set[str]:
    """Return the SHA-256s of the real samples that were asked for, whatever they are called elsewhere."""
    trained = ((model.item, row) for model in models.models for row in model.samples or ())
    digests = {row["sha256"] for item, row in trained if is_named(item, row["source_path"], row["sha256"])}
    for _, record in _records(root, objects):
        if not isinstance(record, str):
            named = (row for row in rows_of(record) if is_named(row[0], row[1]["source_path"], row[1]["sha256"]))
            digests |= {origin_of(record, product, row) for product, row in named}
    return digests


def _records(root: Path, objects: Objects) -> Iterator[tuple[Release, Record | str]]:
    """Yield every release with its lineage.json, or why that cannot be had; one at a time, for they are large."""
    for release in releases(root):
        try:
            digest = release.record or snapshot_at(root, release.revision).record
            yield release, load_record(objects, digest) if digest else NO_RECORD
        except DefectlineError as error:
            yield release, str(error)


def _unknown(models: TracedModels, versions: Versions, used: Collection[tuple[str, str]]) -> Iterator[Unchecked]:
    """Yield the registered models of which it cannot be told whether they depend on the samples."""
    if models.unreachable:
        yield Unchecked("registered models", models.unreachable)
    for model in models.models:
        if (model.model, model.number) not in used and (why := why_unknown(model, versions)):
            yield Unchecked(f"{model.model} version {model.number}", why)
