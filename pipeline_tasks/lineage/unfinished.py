"""Unfinished work of a stage on a node that may die: kept on DVC's remote, so that the next node goes on with it.

What stages leave in `.work/STAGE/ITEM/` is whole files, each replaced as a whole and named after all that decides its
content (commands/work.py): a copy of them is as good as they are, if it never holds a file without those that the
stage wrote before it.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pipeline_tasks.errors import ConfigError, DataError, DefectlineError
from pipeline_tasks.lineage.remote import RemoteFolder
from pipeline_tasks.storage import PARTIAL

INTERVAL = "DEFECTLINE_COPY_SECONDS"
"""Environment variable for the seconds between two copies, 10 if it is not set: what a node that is killed loses at
most, beside the work since the last file. Large checkpoints want more."""

Stamp = tuple[int, int]
"""When a file was written (ns), and its bytes."""


@dataclass
class Unfinished:
    """The files below the folder `local`, and their copies in the folder `remote`."""

    local: Path
    remote: RemoteFolder
    _copied: dict[str, Stamp] = field(default_factory=dict)

    def fetch(self) -> int:
        """Bring what another node has left, and return how many files that was; what is here already stays.

        Raises TransientError if the remote cannot be read, DataError for a name outside of the folder.
        """
        names = self.remote.names()
        for name in names:
            target = self.local / name
            if not target.resolve().is_relative_to(self.local.resolve()):
                raise DataError(f"DVC remote '{self.remote.remote}': unfinished work '{name}' is outside its folder")
            if not target.exists():
                self._bring(name, target)
            self._copied[name] = _stamp(target)
        return len(names)

    def copy(self) -> None:
        """Make the copies what the files are: new ones in the order they were written, others gone in reverse."""
        files = {name: stamp for name, stamp in self._files() if stamp}
        for name in sorted(files, key=lambda name: files[name]):
            if self._copied.get(name) != files[name]:
                self._send(name, files[name])
        for name in sorted(self._copied.keys() - files.keys(), key=lambda name: self._copied[name], reverse=True):
            self.remote.remove(name)
            del self._copied[name]

    def _send(self, name: str, stamp: Stamp) -> None:
        """Copy a file, unless the stage has removed it meanwhile."""
        if (self.local / name).exists():
            self.remote.upload(self.local / name, name)
            self._copied[name] = stamp

    def _bring(self, name: str, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}{PARTIAL}")
        self.remote.download(name, partial)
        partial.replace(target)

    def _files(self) -> Iterator[tuple[str, Stamp | None]]:
        for file in self.local.rglob("*"):
            if file.suffix != PARTIAL:
                yield file.relative_to(self.local).as_posix(), _stamp_of_file(file)


def _stamp(file: Path) -> Stamp:
    status = file.stat()
    return status.st_mtime_ns, status.st_size


def _stamp_of_file(path: Path) -> Stamp | None:
    """Return a file's stamp; None of a folder, or of what has gone meanwhile."""
    try:
        return _stamp(path) if path.is_file() else None
    except FileNotFoundError:
        return None


@contextmanager
def kept_on_remote(work: Unfinished) -> Iterator[None]:
    """Copy a stage's unfinished work while it runs, every so many seconds and in the end, however it ends.

    A copy that fails is tried again the next time; the last one only says that it failed, for the stage itself may have
    done its work. Raises ConfigError if the environment names no interval that makes sense.
    """
    ended = threading.Event()
    thread = threading.Thread(target=_copy_until, args=(work, ended, _interval_s()), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        _copy(work)


def _interval_s() -> float:
    given = os.environ.get(INTERVAL, "10")
    with suppress(ValueError):
        if (seconds := float(given)) > 0:
            return seconds
    raise ConfigError(f"{INTERVAL}: '{given}' is no number of seconds above 0")


def _copy_until(work: Unfinished, ended: threading.Event, interval_s: float) -> None:
    while not ended.wait(interval_s):
        _copy(work)


def _copy(work: Unfinished) -> None:
    try:
        work.copy()
    except (DefectlineError, OSError) as error:
        print(f"unfinished work was not copied: {error}", flush=True)
