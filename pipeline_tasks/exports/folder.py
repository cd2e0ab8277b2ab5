"""The folder that an export writes: all of it or nothing, with the checksum of every file in SHA256SUMS."""

import errno
import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from pipeline_tasks.errors import ConfigError, DataError, refusals_named
from pipeline_tasks.storage import PARTIAL, make_room

SUMS = "SHA256SUMS"
"""Its lines are 'digest  name', in the order of writing: `sha256sum -c SHA256SUMS` checks them."""
LONGEST_STEM = 64


class Folder:
    """A folder that is being filled. Names are relative to it, with slashes."""

    def __init__(self, path: Path, sums: IO[str]) -> None:
        self.path = path
        self._sums = sums

    def write(self, name: str, content: bytes) -> None:
        """Write a file. Raises DataError if it is there already: nothing is written over."""
        path = self.place(name)
        try:
            with path.open("xb") as file:
                file.write(content)
        except FileExistsError as error:
            raise DataError(f"{name}: two of the version's files would have this name; report it") from error
        self._seal(name, hashlib.sha256(content).hexdigest())

    def place(self, name: str) -> Path:
        """Make a folder for a file that the caller writes, and return its path; `seal` it when it is complete."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def seal(self, name: str) -> None:
        """Add the checksum of a complete file that `write` has not written."""
        with (self.path / name).open("rb") as file:
            self._seal(name, hashlib.file_digest(file, "sha256").hexdigest())

    def _seal(self, name: str, digest: str) -> None:
        self._sums.write(f"{digest}  {name}\n")


@contextmanager
def new_folder(out: Path) -> Iterator[Folder]:
    """Yield a temporary folder beside `out`; on success it becomes `out`, on failure it is removed.

    Raises ConfigError if `out` is no longer free (`check_free`), StorageError if the operating system refuses.
    """
    path = out.resolve()
    with refusals_named(path):
        make_room(path)
        fresh = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL))
        try:
            with (fresh / SUMS).open("x") as sums:
                yield Folder(fresh, sums)
            fresh.chmod(0o755)
            _take_place(fresh, out, path)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def check_free(out: Path) -> None:
    """Raise ConfigError if `out` is there and not an empty folder, or cannot be replaced."""
    path = out.resolve()
    if path.is_mount():
        raise ConfigError(f"{out}: a file system is mounted there, which cannot be replaced; name a new folder in it")
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise _occupied(out)


def _take_place(fresh: Path, out: Path, path: Path) -> None:
    """Rename a folder. What has come there in the meantime stays: the operating system replaces empty folders only."""
    try:
        fresh.rename(path)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise _occupied(out) from error
        raise


def _occupied(out: Path) -> ConfigError:
    return ConfigError(f"{out}: is there already and not an empty folder; name a new one: nothing is written over")


def safe_name(source_path: str) -> str:
    """Return a file name without suffix for a user's image: its own as far as it is safe, and a digest of its path.

    Different paths have different names, and one path has the same name in every version.
    """
    stem = re.sub(r"[^A-Za-z0-9_]+", "_", PurePosixPath(source_path).stem).strip("_")
    digest = hashlib.sha256(source_path.encode()).hexdigest()[:12]
    return f"{stem[:LONGEST_STEM]}-{digest}" if stem else digest
