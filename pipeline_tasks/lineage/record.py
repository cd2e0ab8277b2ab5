"""lineage.json: what a version is made of, for those who ask years later, with git and the DVC remote alone.

It follows from the lock and its outputs, without a clock, so that writing it again changes nothing.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from pipeline_tasks.catalog import Catalog, Defect
from pipeline_tasks.errors import PublicationError
from pipeline_tasks.lineage.dvc_command import run_dvc
from pipeline_tasks.lineage.files import RECORD
from pipeline_tasks.lineage.lock import Lock, md5_of
from pipeline_tasks.lineage.objects import DamagedObjectError, Objects
from pipeline_tasks.lineage.record_schema import FORMAT, Record
from pipeline_tasks.lineage.releases import number_for, releases
from pipeline_tasks.manifest import read_manifest
from pipeline_tasks.schema import IDENTITY, Pair, Sample
from pipeline_tasks.storage import sample_files, write_json
from pipeline_tasks.yaml_files import describe


class MadeRow(NamedTuple):
    """What is recorded of a pair, see schema.Pair."""

    pair_index: int
    row_sha256: str
    parent_a: str | None
    parent_b: str | None
    normal_path: str | None


def write_record(lock: Lock, catalog: Catalog) -> str:
    """Write a version's lineage.json into the workspace and give it to DVC to keep; return DVC's MD5 of it.

    Raises PublicationError if DVC refuses, DataError if an output is missing or damaged.
    """
    path = lock.root / RECORD
    write_json(path, record_of(lock, catalog))
    added = run_dvc(lock.root, "add", "--quiet", RECORD)
    if added.returncode:
        raise PublicationError(f"`dvc add {RECORD}` failed: {added.stderr.strip()}; correct it, then publish again")
    return str(md5_of(path))


def record_of(lock: Lock, catalog: Catalog) -> dict[str, Any]:
    """Return lineage.json's values: the release before, every real sample, and what was made of which."""
    number = number_for(lock.root, lock.version)
    before = [release for release in releases(lock.root) if release.number < number]
    previous = {"number": before[-1].number, "revision": before[-1].revision} if before else None
    record = frame_of(lock, catalog, number, previous)
    for product, told in record["products"].items():
        told["samples"] = _samples(lock, product)
        told["defects"] = {d.defect: _defect(lock, d) for d in catalog.defects.values() if d.product == product}
    return record


def frame_of(lock: Lock, catalog: Catalog, number: int, previous: dict[str, Any] | None) -> dict[str, Any]:
    """Return what lineage.json says besides samples and defects: it follows from dvc.lock, catalog and tags alone."""
    makers = {name: catalog.generator_of(name) for name in catalog.products}
    return {
        "format": FORMAT,
        "version": lock.version,
        "number": number,
        "previous": previous,
        "products": {name: {"generator": maker, "samples": [], "defects": {}} for name, maker in makers.items()},
        "generators": {name: _generator(lock, catalog, name) for name in catalog.generators},
    }


def _generator(lock: Lock, catalog: Catalog, name: str) -> dict[str, Any]:
    return {
        "digest": lock.output(f"train@{name}").md5,
        "pretrained": lock.output(f"pretrain@{name}").md5,
        "products": [product for product in catalog.products if catalog.generator_of(product) == name],
    }


def _samples(lock: Lock, product: str) -> list[dict[str, Any]]:
    folders = [lock.root / lock.output(f"ingest@{product}", f"data/{split}/*").path for split in ("base", "test")]
    return samples_of([file for folder in folders for file in sample_files(folder)])


def samples_of(tables: Iterable[Path]) -> list[dict[str, Any]]:
    """Return what is recorded of the real samples in a product's tables."""
    rows = read_manifest(tables, Sample).select(IDENTITY).to_pylist()
    return sorted(rows, key=lambda sample: (sample["split"], sample["source_path"]))


def _defect(lock: Lock, item: Defect) -> dict[str, Any]:
    output = lock.output(f"generate@{item.product}-{item.defect}")
    table = read_manifest(sorted((lock.root / output.path).glob("*.parquet")), Pair)
    columns = (table[name].to_pylist() for name in MadeRow._fields)
    return defect_record(item.source, output.md5, [MadeRow(*row) for row in zip(*columns, strict=True)])


def defect_record(source: str, digest: str, rows: Iterable[MadeRow]) -> dict[str, Any]:
    """Return what is recorded of a defect's pairs. source: whose defects the parents are; digest: DVC's MD5 of pairs.

    rows_sha256: the SHA-256 of their seals, a line each, in the order of their indices. parents, normals: how many
    pairs are made of each sample.
    """
    ordered = sorted(rows, key=lambda row: (row.pair_index, row.row_sha256))
    return {
        "source": source,
        "digest": digest,
        "pairs": len(ordered),
        "rows_sha256": hashlib.sha256("\n".join(row.row_sha256 for row in ordered).encode()).hexdigest(),
        "parents": _count({row.parent_a, row.parent_b} for row in ordered),
        "normals": _count({row.normal_path} for row in ordered),
    }


def _count(named: Iterable[set[str | None]]) -> dict[str, int]:
    """Return how many pairs name each sample."""
    counts = Counter(path for paths in named for path in paths if path is not None)
    return dict(sorted(counts.items()))


def load_record(objects: Objects, md5: str) -> dict[str, Any]:
    """Return the values of the lineage.json that DVC keeps under a digest.

    Raises MissingObjectError or DamagedObjectError, also where it is not what this project writes.
    """
    try:
        return Record.model_validate_json(b"".join(objects.chunks(md5))).model_dump()
    except ValidationError as error:
        told = describe(Path(f"the object {md5}, which should be a {RECORD}"), error)
        raise DamagedObjectError(f"{objects.name}: {told}") from error
