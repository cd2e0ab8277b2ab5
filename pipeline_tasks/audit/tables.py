"""The tables of a version as DVC keeps them, and what is said of those that cannot be read."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline_tasks.audit.chain import Link
from pipeline_tasks.errors import ConfigError, DataError, PublicationError, SchemaError, TransientError
from pipeline_tasks.lineage.lock import Lock, Output
from pipeline_tasks.lineage.objects import DamagedObjectError, MissingObjectError, Objects

REMEDY = "the rows were changed after they were made: take the data from another copy, or refresh and publish again"
OWN_CODE = (
    "audit the version with its own code: `git worktree add FOLDER COMMIT` of its commit, then `defectline audit` there"
)


@dataclass(frozen=True)
class Tables:
    """The tables of a version, fetched one at a time into a folder."""

    lock: Lock
    objects: Objects
    folder: Path

    def file(self, output: Output, name: str = ".") -> Path:
        """Return a file of an output, or the output that is a file. Raises DataError if it cannot be had."""
        files = self.objects.files(output.md5)
        if name not in files:
            raise DataError(f"{output.path}: has no file {name}")
        place = self.folder / files[name]
        if not place.exists():
            self.objects.fetch(Output(output.path / name, files[name]), place)
        return place

    def shards(self, output: Output, below: str = "") -> Iterator[Path]:
        """Yield the tables right in an output, or in its folder `below`, each gone when the next is asked for."""
        for name in sorted(self.objects.files(output.md5)):
            folder, _, table = name.rpartition("/")
            if folder == below and table.endswith(".parquet"):
                shard = self.file(output, name)
                yield shard
                shard.unlink()

    def samples(self, product: str, split: str) -> Output:
        """Return the output with a product's real samples of a split."""
        return self.lock.output(f"ingest@{product}", f"data/{split}/*")


def unread(name: str, error: Exception, where: str) -> Link:
    """Return the link for tables that an `error` kept from being checked; `where`: the objects of them, in words.

    What may pass is raised again, whatever else it is is said: it does not end an audit.
    """
    match error:
        case PublicationError():  # the lock lacks an output
            return Link(name, "broken", str(error), REMEDY)
        case TransientError():
            raise error
        case MissingObjectError() | DamagedObjectError():
            return Link(name, "unchecked", f"they cannot be read: {error}", f"see the objects of {where}")
        case SchemaError():
            return Link(name, "unchecked", f"this code does not know their columns: {_columns(error)}", OWN_CODE)
        case ConfigError():
            return Link(name, "unchecked", f"they cannot be checked: {error}", OWN_CODE)
        case DataError():
            return Link(name, "broken", str(error), REMEDY)
    return Link(name, "unchecked", f"they cannot be checked: {error!r}", OWN_CODE)


def _columns(error: SchemaError) -> str:
    """Return what is wrong with a table, without where it lay for a moment and what a stage would have to do."""
    return str(error).partition(": ")[2].removesuffix("; re-run its stage")
