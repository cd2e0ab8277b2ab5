"""What changed between two versions, and why: first the causes, then what each stage made of them, then numbers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipeline_tasks.audit.sample_changes import SampleChange, sample_changes, withdrawn_at
from pipeline_tasks.audit.sample_use import Record
from pipeline_tasks.audit.stage_changes import Locks, StageChange, parameters, stage_changes
from pipeline_tasks.catalog import Catalog
from pipeline_tasks.lineage.git import answer
from pipeline_tasks.lineage.snapshot import Snapshot


@dataclass(frozen=True)
class Side:
    """One of the versions. record: its lineage.json, None where it cannot be had.

    number: of its release, if it is one. scores: by name, those that are to be held against the other's. missing: what
    cannot be had of it, and why.
    """

    snapshot: Snapshot
    number: int | None
    record: Record | None
    scores: Mapping[str, float] = field(default_factory=dict)
    missing: Sequence[str] = ()


@dataclass(frozen=True)
class Changed:
    """A value in both versions; None where one has none."""

    name: str
    old: Any
    new: Any


@dataclass(frozen=True)
class CodeChange:
    """Code that stages read and that differs. files: those in git that do. commits: by which, newest first.

    No commits: the code was changed without one.
    """

    path: str
    files: Sequence[str]
    commits: Sequence[str]


@dataclass(frozen=True)
class Comparison:
    """What changed from one version to another. old, new: their number, version and revision.

    samples: None where it cannot be told. pairs: by product and defect. unknown: what cannot be told, and why.
    """

    old: Mapping[str, Any]
    new: Mapping[str, Any]
    samples: Sequence[SampleChange] | None
    parameters: Sequence[Changed]
    code: Sequence[CodeChange]
    commands: Sequence[Changed]
    catalog: Sequence[Changed]
    stages: Sequence[StageChange]
    pairs: Sequence[Changed]
    scores: Sequence[Changed]
    unknown: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return asdict(self)


def compare(root: Path, old: Side, new: Side) -> Comparison:
    """Return what changed between two versions of the git repository at `root`."""
    locks = _locks(old, new)
    stages = list(stage_changes(locks))
    return Comparison(
        old=_head(old),
        new=_head(new),
        samples=_samples(root, old, new),
        parameters=list(_changed(_parameters(old), _parameters(new))),
        code=[_code(root, old, new, path) for path in _code_paths(stages)],
        commands=[found for found in _changed(_commands(old), _commands(new)) if found.old and found.new],
        catalog=list(_changed(_entries(old.snapshot.catalog), _entries(new.snapshot.catalog))),
        stages=stages,
        pairs=list(_numbers(_pairs(old), _pairs(new))),
        scores=list(_numbers(old.scores, new.scores)),
        unknown=[f"version {side.snapshot.lock.version}: {what}" for side in (old, new) for what in side.missing],
    )


def _locks(old: Side, new: Side) -> Locks:
    products = [product for side in (old, new) for product in side.snapshot.catalog.products.values()]
    return Locks(old.snapshot.lock, new.snapshot.lock, frozenset(product.path for product in products))


def _head(side: Side) -> dict[str, Any]:
    return {"number": side.number, "version": side.snapshot.lock.version, "revision": side.snapshot.revision}


def _samples(root: Path, old: Side, new: Side) -> list[SampleChange] | None:
    if old.record is None or new.record is None:
        return None
    return [
        change
        for product in dict.fromkeys([*old.record["products"], *new.record["products"]])
        for change in sample_changes(
            product,
            _real(old.record, product),
            _real(new.record, product),
            withdrawn_at(root, old.snapshot.revision, product),
            withdrawn_at(root, new.snapshot.revision, product),
        )
    ]


def _real(record: Record, product: str) -> dict[str, Mapping[str, Any]]:
    rows = record["products"].get(product, {"samples": []})["samples"]
    return {row["sha256"]: row for row in rows if row["derived_from"] is None}


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Changed]:
    for name in sorted({*old, *new}):
        if name not in old or name not in new or old[name] != new[name]:
            yield Changed(name, old.get(name), new.get(name))


def _numbers(old: Mapping[str, float], new: Mapping[str, float]) -> Iterator[Changed]:
    return (Changed(name, old.get(name), new.get(name)) for name in dict.fromkeys([*new, *old]))


def _parameters(side: Side) -> dict[str, Any]:
    lock = side.snapshot.lock
    return {key: value for stage in lock.stages for key, value in parameters(lock, stage).items()}


def _commands(side: Side) -> dict[str, Any]:
    return {stage: entry.get("cmd") for stage, entry in side.snapshot.lock.stages.items()}


def _entries(catalog: Catalog) -> dict[str, Any]:
    """Return a catalog's entries by kind and name: 'defect plate-pit'."""
    kinds = {"products": "product", "generators": "generator", "defects": "defect", "parts": "part"}
    sections = ((kind, catalog.model_dump()[section]) for section, kind in kinds.items())
    return {f"{kind} {name}": entry for kind, found in sections for name, entry in found.items()}


def _code_paths(stages: Sequence[StageChange]) -> list[str]:
    causes = (cause for stage in stages for cause in stage.causes if cause.kind == "code")
    return sorted({name for cause in causes for name in cause.names})


def _code(root: Path, old: Side, new: Side, path: str) -> CodeChange:
    first, second = old.snapshot.revision, new.snapshot.revision
    files = answer(root, "diff", "--relative", "--name-only", first, second, "--", path) or ""
    commits = answer(root, "log", "--oneline", "--no-decorate", f"{first}...{second}", "--", path) or ""
    return CodeChange(path, files.splitlines(), commits.splitlines())


def _pairs(side: Side) -> dict[str, int]:
    products = side.record["products"] if side.record else {}
    return {f"{p}/{d}": made["pairs"] for p, content in products.items() for d, made in content["defects"].items()}
