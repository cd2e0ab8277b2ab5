"""What one version makes of a real sample, as lineage.json tells: its roles, the pairs made of it, the generators."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipeline_tasks.schema import GOOD
from pipeline_tasks.splits.guard import BASE

Record = Mapping[str, Any]
"""The values of a lineage.json."""
NORMAL = "normal"
COUNTERPART_SOURCE = "counterpart source"


@dataclass(frozen=True)
class RealSample:
    """A real sample, by its content and a name that it has had.

    shots: source_paths of the other shots of the same part. counterparts: defect-free images that are made from it.
    """

    product: str
    source_path: str
    sha256: str
    shots: tuple[str, ...] = ()
    counterparts: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is told apart by."""
        return self.product, self.source_path, self.sha256

    def joined(self, other: "RealSample") -> "RealSample":
        """Return the sample with the shots and counterparts that it has had in either of two versions."""
        shots = tuple(sorted({*self.shots, *other.shots}))
        return replace(self, shots=shots, counterparts=tuple(sorted({*self.counterparts, *other.counterparts})))


@dataclass(frozen=True)
class DataSet:
    """The pairs of a defect, and what they owe to a sample.

    parents: pairs whose mask it is a parent of. normals: pairs that it, or its counterpart, hosts. generator: whether
    the generator that made them learned from it.
    """

    product: str
    defect: str
    parents: int
    normals: int
    generator: bool

    @property
    def holds_it(self) -> bool:
        """Whether pairs are made of the sample itself, and not only with what was learned from it."""
        return bool(self.parents or self.normals)


@dataclass(frozen=True)
class Learned:
    """A generator that learned from a sample: its name and DVC's MD5 of it."""

    name: str
    digest: str


@dataclass(frozen=True)
class Use:
    """What a version makes of a sample.

    roles: its side of the split; "normal"; "counterpart source" where a defect-free image is made from it. A test
    sample is measured on, and nothing else.
    """

    product: str
    source_path: str
    sha256: str
    defect: str
    roles: tuple[str, ...]
    data_sets: tuple[DataSet, ...]
    generators: tuple[Learned, ...]


def rows_of(record: Record) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the product and the row of every sample of a version, counterparts too."""
    for product, content in record["products"].items():
        yield from ((product, row) for row in content["samples"])


def origin_of(record: Record, product: str, row: Mapping[str, Any]) -> str:
    """Return the SHA-256 (hex) of the real sample that a row is of, or made from."""
    if row["derived_from"] is None:
        return str(row["sha256"])
    rows = record["products"][product]["samples"]
    return next((str(r["sha256"]) for r in rows if r["source_path"] == row["derived_from"]), str(row["sha256"]))


def real_samples(record: Record, digests: Collection[str]) -> Iterator[RealSample]:
    """Yield the real samples of a version with these SHA-256s, with their shots and counterparts."""
    for product, row in _real(record, digests):
        others = [r for r in record["products"][product]["samples"] if r is not row and r["derived_from"] is None]
        shots = tuple(r["source_path"] for r in others if row["group"] and r["group"] == row["group"])
        path, counterparts = row["source_path"], _counterparts(record, product, row)
        yield RealSample(product, path, row["sha256"], shots, counterparts)


def uses_of(record: Record, digests: Collection[str]) -> tuple[Use, ...]:
    """Return what a version makes of the real samples with these SHA-256s."""
    return tuple(_use(record, product, row) for product, row in _real(record, digests))


def _real(record: Record, digests: Collection[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    rows = rows_of(record)
    return ((product, row) for product, row in rows if row["sha256"] in digests and row["derived_from"] is None)


def _counterparts(record: Record, product: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    rows = record["products"][product]["samples"]
    return tuple(r["source_path"] for r in rows if r["derived_from"] == row["source_path"])


def _use(record: Record, product: str, row: Mapping[str, Any]) -> Use:
    roles = (row["split"], *([NORMAL] if row["defect"] == GOOD else []))
    if _counterparts(record, product, row):
        roles = (*roles, COUNTERPART_SOURCE)
    return Use(
        product=product,
        source_path=row["source_path"],
        sha256=row["sha256"],
        defect=row["defect"],
        roles=roles,
        data_sets=tuple(_data_sets(record, product, row)),
        generators=tuple(_generators(record, product, row)),
    )


def _generators(record: Record, product: str, row: Mapping[str, Any]) -> Iterator[Learned]:
    """Yield the generators that learned from a sample: every base sample of their products."""
    for name, made in record["generators"].items():
        if row["split"] == BASE and product in made["products"]:
            yield Learned(name, made["digest"])


def _data_sets(record: Record, product: str, row: Mapping[str, Any]) -> Iterator[DataSet]:
    """Yield the data sets that hold a sample or depend on it.

    Masks and prompts come from every base sample of the source, not only from the parents that pairs name.
    """
    learned = {generator.name for generator in _generators(record, product, row)}
    hosts = (row["source_path"], *_counterparts(record, product, row))
    for name, content in record["products"].items():
        for defect, made in content["defects"].items():
            parents = made["parents"].get(row["source_path"], 0) if made["source"] == product else 0
            normals = sum(made["normals"].get(path, 0) for path in hosts) if name == product else 0
            found = DataSet(name, defect, parents, normals, content["generator"] in learned)
            is_read = row["split"] == BASE and product in (name, made["source"])
            if found.holds_it or found.generator or is_read:
                yield found
