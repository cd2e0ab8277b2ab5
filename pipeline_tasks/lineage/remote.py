"""Files on DVC's default remote, beside the objects that DVC keeps there: what nodes leave for each other."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline_tasks.errors import ConfigError, DataError, TransientError, without_secrets

OWN = "defectline"
"""Folder on the remote that holds all of it; DVC's garbage collection leaves it alone."""


@dataclass(frozen=True)
class RemoteFolder:
    """One folder on the remote. Names are relative POSIX paths; writing replaces a file as a whole."""

    remote: str
    """What people call the remote."""
    fs: Any
    """DVC's file system."""
    path: str

    def below(self, *names: str) -> "RemoteFolder":
        """Return a folder in this one."""
        return replace(self, path=self.fs.join(self.path, *names))

    def names(self) -> list[str]:
        """Return the names of all files in the folder and those below it, sorted; none if there is no folder."""
        with self._reached():
            found = [*self.fs.find(self.path)] if self.fs.exists(self.path) else []
        return sorted(PurePosixPath(file).relative_to(self.path).as_posix() for file in found)

    def older_than(self, days: int) -> list[str]:
        """Return the names of the files that were last written more than so many days ago."""
        limit = datetime.now(UTC) - timedelta(days=days)
        with self._reached():
            return [name for name in self.names() if self.fs.fs.modified(self.fs.join(self.path, name)) < limit]

    def read(self, name: str) -> str | None:
        """Return a file's text; None if it is not there."""
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "copy"
            return copy.read_text() if self.download(name, copy) else None

    def write(self, name: str, text: str) -> None:
        """Make `text` the content of a file."""
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "text").write_text(text)
            self.upload(Path(folder) / "text", name)

    def download(self, name: str, to: Path) -> bool:
        """Bring a file to the path `to`; return whether it was there."""
        with self._reached():
            try:
                self.fs.get_file(self.fs.join(self.path, name), str(to))
            except FileNotFoundError:
                return False
        return True

    def upload(self, file: Path, name: str) -> None:
        """Put a file there, the whole of it or nothing."""
        with self._reached():
            self.fs.put_file(str(file), self.fs.join(self.path, name))

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with self._reached():
            try:
                self.fs.rm_file(self.fs.join(self.path, name))
            except FileNotFoundError:
                return

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Raise TransientError, naming the remote, where it cannot be reached or refuses."""
        try:
            yield
        except Exception as error:  # each file system of fsspec raises its own
            reason = without_secrets(" ".join(str(error).split()) or repr(error))
            raise TransientError(f"DVC remote '{self.remote}': {reason}; bring it back and try again") from error


@contextmanager
def remote_folder(root: Path) -> Iterator[RemoteFolder]:
    """Yield the folder of what is not DVC's own on the default remote of the DVC repository at `root`.

    Raises DataError if DVC cannot make a remote of its configuration, ConfigError if there is none.
    """
    from dvc.config import NoRemoteError
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        try:
            remote = repo.cloud.get_remote()
        except NoRemoteError as error:
            raise ConfigError(
                f"{root}: DVC has no default remote, and nodes share nothing else; name one in DEFECTLINE_REMOTE, or "
                "with `dvc remote add --default NAME URL`"
            ) from error
        except DvcException as error:
            raise DataError(f"{root}: DVC's remote: {without_secrets(str(error))}; see `dvc remote list`") from error
        yield RemoteFolder(remote.name, remote.fs, remote.fs.join(remote.path, OWN))
