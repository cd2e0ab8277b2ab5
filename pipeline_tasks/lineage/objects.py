"""What DVC keeps of outputs, in its cache or its remote, by content: read without a checkout, every byte verified.

DVC's own check removes an object that it finds damaged; for an audit that would be the loss of evidence.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_tasks.errors import DataError, TransientError, without_secrets
from pipeline_tasks.lineage.lock import DIRECTORY, Output
from pipeline_tasks.storage import atomic_file, atomic_folder

CHUNK_BYTES = 2**20


class MissingObjectError(DataError):
    """DVC's cache or remote lacks what has this digest."""


class DamagedObjectError(DataError):
    """What DVC's cache or remote holds under a digest has another one."""


@dataclass(frozen=True)
class Place:
    """One store of objects: DVC's cache or its remote; `name` tells people which."""

    name: str
    database: Any
    """DVC's HashFileDB."""


@dataclass(frozen=True)
class Objects:
    """The objects in some places, looked for in their order."""

    places: Sequence[Place]

    @property
    def name(self) -> str:
        """The places, in words."""
        return " and ".join(place.name for place in self.places)

    def chunks(self, md5: str) -> Iterator[bytes]:
        """Yield an object's bytes, and check them in the end.

        Raises MissingObjectError, DamagedObjectError, or TransientError where a place cannot be read.
        """
        for place in self.places:
            digest = hashlib.md5(usedforsecurity=False)
            try:
                with place.database.fs.open(place.database.oid_to_path(md5), "rb") as stream:
                    while chunk := stream.read(CHUNK_BYTES):
                        digest.update(chunk)
                        yield chunk
            except FileNotFoundError:
                continue
            except Exception as error:  # each file system of fsspec raises its own
                reason = without_secrets(" ".join(str(error).split()) or repr(error))
                raise TransientError(f"{place.name}: cannot be read ({reason}); bring it back and try again") from error
            if digest.hexdigest() != md5.removesuffix(DIRECTORY):
                raise DamagedObjectError(f"{place.name}: the object {md5} is damaged, its MD5 is {digest.hexdigest()}")
            return
        raise MissingObjectError(f"{self.name}: no object {md5}")

    def files(self, md5: str) -> dict[str, str]:
        """Return the MD5s of an output's files by their paths in it; a file's own path is ".". Raises as `chunks`."""
        if not md5.endswith(DIRECTORY):
            return {".": md5}
        listing = b"".join(self.chunks(md5))
        try:
            return {entry["relpath"]: _checked(entry["md5"]) for entry in json.loads(listing)}
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedObjectError(f"{self.name}: the object {md5} is no list of files ({error})") from error

    def fetch(self, output: Output, to: Path) -> None:
        """Bring an output's content to the path `to`, the whole of it or nothing. Raises as `chunks`."""
        files = self.files(output.md5)
        if not output.is_folder:
            self._write(output.md5, to)
            return
        with atomic_folder(to) as fresh:
            for name, md5 in files.items():
                target = fresh / name
                if not target.resolve().is_relative_to(fresh.resolve()):
                    raise DamagedObjectError(f"{self.name}: the object {output.md5} lists '{name}', outside its folder")
                self._write(md5, target)

    def _write(self, md5: str, to: Path) -> None:
        """Write an object; one that is damaged in a place is looked for in the next."""
        for place in self.places[:-1]:
            with suppress(MissingObjectError, DamagedObjectError):
                Objects([place])._write_chunks(md5, to)
                return
        Objects(self.places[-1:])._write_chunks(md5, to)

    def _write_chunks(self, md5: str, to: Path) -> None:
        with atomic_file(to) as partial, partial.open("wb") as file:
            for chunk in self.chunks(md5):
                file.write(chunk)


def _checked(md5: str) -> str:
    """Return a digest, of which a path is made. Raises ValueError if it is none."""
    if not re.fullmatch("[0-9a-f]{32}", md5):
        raise ValueError(f"'{md5}' is no MD5")
    return md5


@contextmanager
def stored_objects(root: Path, cache: bool) -> Iterator[Objects]:
    """Yield the objects of the DVC repository at `root`: those in its default remote, before it in its cache if asked.

    Raises DataError if there is no remote and no cache was asked for, or DVC cannot make one of its configuration.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            places = [Place("DVC's cache", repo.cache.local)] if cache else []
            yield Objects([*places, *_remote(repo, required=not cache)])
    except DvcException as error:
        reason = without_secrets(str(error))
        raise DataError(f"{root}: DVC cannot read its remote ({reason}); see `dvc remote list`") from error


def _remote(repo: Any, required: bool) -> list[Place]:
    from dvc.config import NoRemoteError

    try:
        remote = repo.cloud.get_remote()
        return [Place(f"DVC remote '{remote.name}'", repo.cloud.get_remote_odb())]
    except NoRemoteError:
        if required:
            raise
        return []
