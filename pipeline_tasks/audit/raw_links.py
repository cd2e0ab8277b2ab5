"""The end of the chain: the files that the real samples were read from, where they still are, pixel by pixel."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline_tasks.audit.chain import Link, some
from pipeline_tasks.audit.raw_files import Outcome, RawFiles, decodes_alike, digests_read, is_as_it_was_read
from pipeline_tasks.audit.stage_links import Ground
from pipeline_tasks.audit.tables import OWN_CODE, REMEDY, Tables, unread
from pipeline_tasks.catalog import Product
from pipeline_tasks.lineage.lock import Output
from pipeline_tasks.lineage.objects import MissingObjectError
from pipeline_tasks.schema import Sample
from pipeline_tasks.splits.membership import SPLITS
from pipeline_tasks.storage import read_rows

SINCE: Mapping[Outcome, str] = {
    "changed": "have changed since",
    "gone": "are gone or cannot be read",
    "no mask": "have no mask any more",
    "other label": "have another mask or defect in it, where something has changed since",
}
"""What may become of raw files without any harm to a version, which holds the pixels."""
RESTORE = "the version holds the pixels; to compare them, bring back the files that it was made of"
Outcomes = Mapping[Outcome, Sequence[str]]
"""The source_paths of samples by what became of their files; those of none are empty."""


def raw_link(ground: Ground, product: str, item: Product, root: Path) -> Link:
    """Return whether the raw files of a product, `item` of the catalog, are what its samples were read from.

    Files that have changed or are gone break nothing: the samples' pixels are in the version. One that has the SHA-256
    of a sample must have its pixels. A folder that is not on this machine is fetched from the remote, where DVC carries
    it. Raises TransientError if the remote cannot be read or the disk is full.
    """
    name, here = f"raw samples of {product}", root / item.path
    with TemporaryDirectory(prefix="defectline-") as scratch:
        try:
            folder = here if here.is_dir() else _fetched(ground, product, item, Path(scratch) / "raw")
            if folder is None:
                told = f"{here} is not on this machine; lineage.json holds the SHA-256 of each file"
                return Link(name, "unchecked", told)
            files = RawFiles.of(folder, product, item, ground.params)
            found = _outcomes(Tables(ground.lock, ground.objects, Path(scratch)), product, files)
            intact = bool(found["other label"]) and is_as_it_was_read(ground, product, item, folder)
            return _link(name, here, found, intact, decodes_alike(ground.tree))
        except Exception as error:  # whatever is in the tables and in the folder, the audit goes on
            return unread(name, error, "the samples")


def _fetched(ground: Ground, product: str, item: Product, to: Path) -> Path | None:
    """Return where the raw files that ingest read are now; None if the remote does not have them.

    Raises DamagedObjectError, or TransientError where the remote cannot be read.
    """
    for md5 in digests_read(ground, product, item):
        with suppress(MissingObjectError):
            ground.objects.fetch(Output(Path(item.path), md5), to)
            return to
    return None


def _outcomes(tables: Tables, product: str, files: RawFiles) -> Outcomes:
    """Look at the files of all samples of a product, one at a time."""
    found: dict[Outcome, list[str]] = defaultdict(list)
    for sample in _real(tables, product):
        found[files.look(sample)].append(sample.source_path)
    return found


def _real(tables: Tables, product: str) -> Iterator[Sample]:
    """Yield the samples that were read from files; counterparts are made."""
    for split in SPLITS:
        for table in tables.shards(tables.samples(product, split)):
            yield from (sample for sample in read_rows(table, Sample) if sample.derived_from is None)


def _link(name: str, folder: Path, found: Outcomes, intact: bool, decoded_alike: bool) -> Link:
    """Return the link. intact: no file in the folder, so no mask either, has changed since it was read."""
    number = sum(map(len, found.values()))
    wrong = [f"{path} (image)" for path in found["other image"]]
    wrong += [f"{path} (mask or defect)" for path in found["other label"] if intact]
    since = [
        f"{len(which)} of {number} files in {folder} {what}: {some(which, ', ')}"
        for outcome, what in SINCE.items()
        if (which := found[outcome]) and not (intact and outcome == "other label")
    ]
    if wrong:
        what = f"{len(wrong)} of {number} samples are not what their files in {folder} hold: {some(wrong, ', ')}"
        told = "; ".join([what, *since])
        return Link(name, "broken", told, REMEDY) if decoded_alike else Link(name, "unchecked", told, OWN_CODE)
    if since:
        return Link(name, "unchecked", f"{'; '.join(since)}; the others are as they were", RESTORE)
    held = f"all {number} files in {folder} have the SHA-256 that their samples name, and with their masks their pixels"
    return Link(name, "ok", held)
