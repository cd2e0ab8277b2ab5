"""The pairs and masks of a registered version: the workspace's while they are that version's, else out of DVC.

A version's dvc.lock is kept by git; what it names is in DVC's cache or remote.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline_tasks.errors import DataError, TransientError
from pipeline_tasks.lineage.lock import Lock, Output, md5_of
from pipeline_tasks.lineage.objects import DamagedObjectError, MissingObjectError, stored_objects
from pipeline_tasks.lineage.releases import release_of
from pipeline_tasks.lineage.snapshot import snapshot_at
from pipeline_tasks.storage import atomic_folder

PROMOTE = "make another version the champion with `defectline promote`"


@dataclass(frozen=True)
class Origin:
    """A registered version: what its dvc.lock is called (`Lock.version`), and the git revision that keeps it."""

    version: str
    revision: str


@dataclass(frozen=True)
class Made:
    """Where a product's pairs are, a folder for each defect, and the masks that they were made of, a table for each."""

    pairs: Path
    masks: Path


def pairs_of(origin: Origin, lock: Lock, product: str, folder: Path) -> Made:
    """Return where the pairs of `product` in the version `origin` are; `lock` is the workspace's.

    They are the workspace's if these are the same by DVC's digests; else they are fetched into `folder`, where the next
    call finds them. Raises DataError if git does not keep that version's lock or the lock has no pairs of the product,
    TransientError if DVC cannot fetch what it names.
    """
    present = _outputs(lock, product)
    wanted = present if lock.version == origin.version else _outputs(_lock_at(lock.root, origin), product)
    if not wanted:
        raise DataError(f"version {origin.version}: its dvc.lock names no pairs of '{product}'; {PROMOTE}")
    if wanted == present and _are_at({lock.root / output.path: output for output in wanted.values()}):
        parents = {Path(place).parent.name: lock.root / output.path.parent for place, output in wanted.items()}
        return Made(**parents)
    if not _are_at({folder / place: output for place, output in wanted.items()}):
        _fetch(lock.root, origin, wanted, folder)
    return Made(folder / "pairs", folder / "masks")


def _outputs(lock: Lock, product: str) -> dict[str, Output]:
    """Return the outputs with a product's pairs and masks, by the place that each has in a folder of its own."""
    begin = f"generate@{product}-"
    found = {}
    for defect in (name.removeprefix(begin) for name in lock.stages if name.startswith(begin)):
        found[f"pairs/{defect}"] = lock.output(begin + defect)
        found[f"masks/{defect}.parquet"] = lock.output(f"masks@{product}-{defect}", "*.parquet")
    return found


def _are_at(outputs: Mapping[Path, Output]) -> bool:
    return all(md5_of(path) == output.md5 for path, output in outputs.items())


def _lock_at(root: Path, origin: Origin) -> Lock:
    """Return the lock of a version, which belongs to the catalog of its time."""
    release = release_of(root, origin.version)  # a version may have been registered before it was committed
    try:
        lock = snapshot_at(root, release.revision if release else origin.revision or "(none)").lock
    except DataError as error:
        raise DataError(f"version {origin.version}: {error}, publish again, or {PROMOTE}") from error
    if lock.version != origin.version:
        raise DataError(
            f"version {origin.version}: git revision {origin.revision[:12]} keeps the dvc.lock of another version, "
            f"{lock.version}, because it was registered before its lock was committed (`defectline publish` with "
            f"register.git_commit: true does both in order); publish again, or {PROMOTE}"
        )
    return lock


def _fetch(root: Path, origin: Origin, wanted: Mapping[str, Output], folder: Path) -> None:
    """Bring the outputs to their places in `folder`: all of them, or none."""
    with atomic_folder(folder) as fresh, stored_objects(root, cache=True) as objects:
        for place, output in wanted.items():
            try:
                objects.fetch(output, fresh / place)
            except (MissingObjectError, DamagedObjectError) as error:
                what, remedy = f"{output.path} of version {origin.version}", "bring DVC's cache or remote back"
                raise TransientError(f"{what}: {error}; {remedy}, or {PROMOTE}") from error
