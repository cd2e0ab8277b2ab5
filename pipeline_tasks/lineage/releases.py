"""Published versions as annotated git tags: dataset-1, dataset-2, ... in the order of their publication.

A tag's message names the version and the digest of its lineage.json, so that a tag which was moved can be told.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from pipeline_tasks.errors import DataError
from pipeline_tasks.lineage.git import answer

PREFIX = "dataset-"
_SUBJECT = re.compile(r"Data set version ([0-9a-f]{12}), lineage.json ([0-9a-f]{32})")


@dataclass(frozen=True)
class Release:
    """A published version: its number, the commit that keeps its lock, and what its tag's message says of it.

    version: what its dvc.lock is called (`Lock.version`). record: DVC's MD5 of its lineage.json. Both are "" where the
    tag is not as `defectline publish` made it.
    """

    number: int
    revision: str
    version: str
    record: str

    @property
    def tag(self) -> str:
        """The name of its git tag."""
        return f"{PREFIX}{self.number}"


def releases(root: Path) -> list[Release]:
    """Return the published versions that the git repository at `root` knows, in their order; none outside git."""
    wanted = "--format=%(refname:strip=2)%09%(objectname)%09%(*objectname)%09%(contents:subject)"
    listed = answer(root, "for-each-ref", f"refs/tags/{PREFIX}*", wanted)
    found = (_release(*line.split("\t", 3)) for line in (listed or "").splitlines())
    return sorted((release for release in found if release), key=lambda release: release.number)


def _release(tag: str, own: str, tagged: str, subject: str) -> Release | None:
    """Return what a tag tells. A lightweight one, which is its commit's own name, has the commit's message."""
    number = tag.removeprefix(PREFIX)
    if not re.fullmatch(r"[1-9][0-9]*", number):
        return None
    told = _SUBJECT.fullmatch(subject) if tagged else None
    return Release(int(number), tagged or own, *(told.groups() if told else ("", "")))


def release_of(root: Path, version: str) -> Release | None:
    """Return the release of the version that a dvc.lock is called; None if it was not published."""
    return next((release for release in releases(root) if release.version == version), None)


def number_for(root: Path, version: str) -> int:
    """Return the number of a version: its release's, or the next one."""
    if known := release_of(root, version):
        return known.number
    return max((release.number for release in releases(root)), default=0) + 1


def tag_message(version: str, record: str) -> str:
    """Return the message of the tag of a version; `record` is DVC's MD5 of its lineage.json."""
    subject = f"Data set version {version}, lineage.json {record}"
    if not _SUBJECT.fullmatch(subject):
        raise DataError(f"version '{version}' or digest '{record}': not what DVC makes; run `dvc repro` again")
    return subject
