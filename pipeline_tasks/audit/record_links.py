"""lineage.json: whether it is the version's own, and says what follows from the lock, the catalog and the tags."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline_tasks.audit.chain import RESTORE, Link
from pipeline_tasks.errors import DataError, PublicationError
from pipeline_tasks.lineage.files import RECORD
from pipeline_tasks.lineage.objects import Objects
from pipeline_tasks.lineage.record import frame_of, load_record
from pipeline_tasks.lineage.releases import PREFIX, release_of, releases
from pipeline_tasks.lineage.snapshot import Snapshot

AGAIN = "something else was put in its place: bring the remote's backup back, or publish the version again"


def read_record(root: Path, snapshot: Snapshot, objects: Objects) -> tuple[dict[str, Any] | None, list[Link]]:
    """Return a version's lineage.json, None if it cannot be had, and the links from git to it.

    What it says of samples and pairs is compared where their tables are read.
    """
    if snapshot.record is None:
        what = f"the commit has no {RECORD}.dvc: it was not published by `defectline publish`"
        return None, [Link(RECORD, "unchecked", what, "publish the version again")]
    try:
        record = load_record(objects, snapshot.record)
    except DataError as error:
        return None, [Link(RECORD, "broken", str(error), RESTORE)]
    if faults := list(_faults(record, snapshot)):
        return record, [Link(RECORD, "broken", "; ".join(faults), AGAIN), *_number(root, record, snapshot)]
    samples = sum(len(product["samples"]) for product in record["products"].values())
    found = Link(RECORD, "ok", f"of this version, as git's digest says; it names {samples} real samples")
    return record, [found, *_number(root, record, snapshot)]


def _faults(record: Mapping[str, Any], snapshot: Snapshot) -> Iterator[str]:
    try:
        expected = frame_of(snapshot.lock, snapshot.catalog, record["number"], record["previous"])
    except PublicationError as error:
        yield f"it cannot be compared with the lock: {error}"
        return
    bare = {name: {**told, "samples": [], "defects": {}} for name, told in record["products"].items()}
    for key, value in expected.items():
        if (told := bare if key == "products" else record[key]) != value:
            yield f"{key}: it says {told}, by dvc.lock and catalog.yaml it is {value}"
    for product, told in record["products"].items():
        if (named := sorted(told["defects"])) != (there := sorted(snapshot.catalog.defects_of(product))):
            yield f"defects of {product}: it names {', '.join(named) or 'none'}, catalog.yaml {', '.join(there)}"


def _number(root: Path, record: Mapping[str, Any], snapshot: Snapshot) -> Iterator[Link]:
    """Yield what is wrong with the number under which the version was published."""
    number, release = record["number"], release_of(root, snapshot.lock.version)
    if release and release.number != number:
        what = f"{RECORD} says that the version is {PREFIX}{number}, and git's tag says {release.tag}"
        yield Link(f"git tag {release.tag}: number", "broken", what, "restore the tags from another clone")
    if release is None and releases(root):
        what = f"{RECORD} says that the version is {PREFIX}{number}, and no tag in git names the version: it is gone"
        yield Link(f"git tag {PREFIX}{number}", "broken", what, "restore it from another clone, or `git fetch --tags`")
