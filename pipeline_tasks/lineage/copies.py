"""Files of a folder and their copies on DVC's remote, for nodes that come and go."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline_tasks.errors import DataError
from pipeline_tasks.lineage.remote import RemoteFolder
from pipeline_tasks.storage import PARTIAL

Stamp = tuple[int, int]
"""When a file was written (ns), and its bytes."""


@dataclass
class Copies:
    """The files below the folder `local`, and their copies in the folder `remote`.

    Files are whole, each replaced as a whole: copies are as good as they are, if there is never one without those of
    the files that were written before it.
    """

    local: Path
    remote: RemoteFolder
    _copied: dict[str, Stamp] = field(default_factory=dict)

    def fetch(self) -> int:
        """Bring what another node has left, and return how many files that was; what is here already stays.

        Raises TransientError if the remote cannot be read, DataError for a name outside of the folder.
        """
        return sum(self._fetched(name) for name in self.remote.names())

    def leave_present(self) -> None:
        """Copy nothing of what is here now."""
        self._copied |= dict(self._files())

    def copy(self) -> None:
        """Copy new and changed files, in the order they were written."""
        files = dict(self._files())
        for name in sorted(files, key=lambda name: files[name]):
            if self._copied.get(name) != files[name]:
                self._send(name, files[name])

    def tidy(self) -> None:
        """Remove the copies of files that are gone, the last written first."""
        gone = self._copied.keys() - dict(self._files()).keys()
        for name in sorted(gone, key=lambda name: self._copied[name], reverse=True):
            self.remote.remove(name)
            del self._copied[name]

    def _fetched(self, name: str) -> bool:
        target = self.local / name
        if not target.resolve().is_relative_to(self.local.resolve()):
            raise DataError(f"DVC remote '{self.remote.remote}': the copy '{name}' would be outside of {self.local}")
        if not target.exists() and not self._bring(name, target):
            return False
        self._copied[name] = _stamp(target)
        return True

    def _bring(self, name: str, target: Path) -> bool:
        """Fetch a file; return whether it was still there."""
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}{PARTIAL}")
        if found := self.remote.download(name, partial):
            partial.replace(target)
        return found

    def _send(self, name: str, stamp: Stamp) -> None:
        """Copy a file, unless it has gone meanwhile."""
        if (self.local / name).exists():
            self.remote.upload(self.local / name, name)
            self._copied[name] = stamp

    def _files(self) -> Iterator[tuple[str, Stamp]]:
        """Yield the files that are there and finished."""
        for file in self.local.rglob("*"):
            name = file.relative_to(self.local)
            if not any(part.endswith(PARTIAL) for part in name.parts) and (stamp := _stamp_of_file(file)):
                yield name.as_posix(), stamp


def _stamp(file: Path) -> Stamp:
    status = file.stat()
    return status.st_mtime_ns, status.st_size


def _stamp_of_file(path: Path) -> Stamp | None:
    """Return a file's stamp; None of a folder, or of what has gone meanwhile."""
    try:
        return _stamp(path) if path.is_file() else None
    except FileNotFoundError:
        return None
