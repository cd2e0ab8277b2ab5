"""A version as git keeps it: the files of one commit, its dvc.lock among them."""

import io
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from pydantic import ValidationError

from pipeline_tasks.catalog import Catalog
from pipeline_tasks.errors import DataError
from pipeline_tasks.lineage.files import RECORD
from pipeline_tasks.lineage.git import answer, run_git
from pipeline_tasks.lineage.lock import Lock, parse_lock
from pipeline_tasks.yaml_files import describe


@dataclass(frozen=True)
class Snapshot:
    """What a commit says of a version: the lock and the catalog of its time."""

    revision: str
    lock: Lock
    catalog: Catalog
    record: str | None
    """DVC's MD5 of its lineage.json; None before a version had one."""


def snapshot_at(root: Path, revision: str) -> Snapshot:
    """Return what git keeps of the version at `revision`, any name of a commit.

    Raises DataError if the repository has no such commit, or the commit holds no version.
    """
    found = run_git(root, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    if found.returncode:
        reason = found.stderr.strip().removeprefix("fatal: ")
        raise DataError(f"git revision '{revision}': not in this repository ({reason}); try `git fetch --tags`")
    commit = found.stdout.strip()
    catalog = _catalog(_text(root, commit, "catalog.yaml"), commit)
    record = answer(root, "show", f"{commit}:./{RECORD}.dvc")
    return Snapshot(
        revision=commit,
        lock=_lock(root, commit, catalog),
        catalog=catalog,
        record=None if record is None else _digest(record),
    )


def _text(root: Path, commit: str, name: str) -> str:
    shown = run_git(root, "show", f"{commit}:./{name}")
    if shown.returncode:
        raise DataError(f"git revision {commit[:12]} holds no version: {shown.stderr.strip()}; name another one")
    return shown.stdout


def _catalog(text: str, commit: str) -> Catalog:
    where = Path(f"catalog.yaml of git revision {commit[:12]}")
    try:
        return Catalog.model_validate(yaml.safe_load(text))
    except ValidationError as error:
        raise DataError(f"{describe(where, error)}; name another version") from error
    except yaml.YAMLError as error:
        raise DataError(f"{where}: not YAML ({error}); name another version") from error


def _lock(root: Path, commit: str, catalog: Catalog) -> Lock:
    try:
        return parse_lock(root, _text(root, commit, "dvc.lock"), catalog)
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"dvc.lock of git revision {commit[:12]}: not a lock of DVC ({error})") from error


def _digest(text: str) -> str | None:
    """Return the MD5 in a file that `dvc add` wrote; None if it is another kind of file."""
    try:
        return str(yaml.safe_load(text)["outs"][0]["md5"])
    except (yaml.YAMLError, KeyError, IndexError, TypeError):
        return None


@contextmanager
def unpacked(root: Path, revision: str) -> Iterator[Path]:
    """Yield a temporary folder with the files of a commit, below what is the repository's root for DVC.

    Raises DataError if git refuses.
    """
    packed = subprocess.run(["git", "archive", "--format=tar", revision], cwd=root, capture_output=True, check=False)
    if packed.returncode:
        reason = packed.stderr.decode(errors="replace").strip()
        raise DataError(f"git revision {revision[:12]}: its files cannot be had ({reason}); fetch it")
    with TemporaryDirectory(prefix="defectline-") as folder:
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
            archive.extractall(folder, filter="data")
        yield Path(folder)
