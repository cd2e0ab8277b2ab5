"""The pairs and masks of a registered version: the workspace's while they are that version's, else out of DVC.

A version's dvc.lock is kept by git; what it names is in DVC's cache or remote.
"""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import ValidationError

from pipeline_tasks.catalog import Catalog
from pipeline_tasks.errors import DataError, TransientError
from pipeline_tasks.lineage.dvc_command import run_dvc
from pipeline_tasks.lineage.lock import Lock, Output, md5_of, parse_lock
from pipeline_tasks.storage import atomic_folder
from pipeline_tasks.yaml_files import describe

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
    texts = {name: _text_at(root, origin, name) for name in ("dvc.lock", "catalog.yaml")}
    try:
        catalog = Catalog.model_validate(yaml.safe_load(texts["catalog.yaml"]))
    except ValidationError as error:
        told = describe(Path(f"version {origin.version}: its catalog.yaml"), error)
        raise DataError(f"{told}; {PROMOTE}") from error
    lock = parse_lock(root, texts["dvc.lock"], catalog)
    if lock.version != origin.version:
        raise DataError(
            f"version {origin.version}: git revision {origin.revision[:12]} keeps the dvc.lock of another version, "
            f"{lock.version}, because it was registered before its lock was committed (`defectline publish` with "
            f"register.git_commit: true does both in order); publish again, or {PROMOTE}"
        )
    return lock


def _text_at(root: Path, origin: Origin, name: str) -> str:
    command = ["git", "show", f"{origin.revision}:./{name}"]
    try:
        shown = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise DataError(f"version {origin.version}: git, which keeps its lock, is not installed; install it") from error
    if not origin.revision or shown.returncode:
        raise DataError(
            f"version {origin.version}: git revision {origin.revision[:12] or '(none)'} with its {name} is not in this "
            f"repository: {shown.stderr.strip()}; fetch the revision, publish again, or {PROMOTE}"
        )
    return shown.stdout


def _fetch(root: Path, origin: Origin, wanted: Mapping[str, Output], folder: Path) -> None:
    """Bring the outputs to their places in `folder`: all of them, or none."""
    with atomic_folder(folder) as fresh:
        for place, output in wanted.items():
            (fresh / place).parent.mkdir(parents=True, exist_ok=True)
            path, to = output.path.as_posix(), str(fresh / place)
            got = run_dvc(root, "get", ".", path, "--rev", origin.revision, "--out", to)
            if got.returncode or md5_of(fresh / place) != output.md5:
                reason = "; ".join(line for line in got.stderr.splitlines() if line.startswith("ERROR: "))
                raise TransientError(
                    f"{path} of version {origin.version}: DVC cannot fetch it from git revision {origin.revision[:12]} "
                    f"({reason or 'its content is another one'}); bring its cache or remote back, or {PROMOTE}"
                )
