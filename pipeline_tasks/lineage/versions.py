"""VERSION as people name one, without MLflow: `latest`, a release's number, what a lock is called, a git revision."""

import re
from pathlib import Path

from pipeline_tasks.errors import DataError
from pipeline_tasks.lineage.files import RECORD
from pipeline_tasks.lineage.git import answer
from pipeline_tasks.lineage.releases import Release, release_of, releases
from pipeline_tasks.lineage.snapshot import snapshot_at

LATEST = "latest"


def find_revision(root: Path, wanted: str) -> str:
    """Return the git revision that keeps the version called `wanted`.

    `latest` is what was published last in the history of what is checked out; where that is nothing, the newest
    release, or else what is checked out. Raises DataError if there is no such version.
    """
    known = releases(root)
    if wanted == LATEST:
        return _latest(root, known)
    for release in known:
        if wanted in (str(release.number), release.version, release.tag):
            return release.revision
    commit = answer(root, "rev-parse", "--verify", "--quiet", f"{wanted}^{{commit}}")
    if commit is None or re.fullmatch("[0-9]{1,6}", wanted):
        raise DataError(f"version '{wanted}': {_known(known)}")
    return commit


def _latest(root: Path, known: list[Release]) -> str:
    """Return the commit of what was published last in the history of what is checked out, whatever tags there are."""
    commit = answer(root, "log", "-1", "--format=%H", "HEAD", "--", f"{RECORD}.dvc")
    if not commit:
        return known[-1].revision if known else "HEAD"
    release = release_of(root, snapshot_at(root, commit).lock.version)
    return release.revision if release else commit


def _known(known: list[Release]) -> str:
    if not known:
        return "git knows no published version; `git fetch --tags` gets their tags, `defectline publish` makes one"
    some = ", ".join(f"{release.number} ({release.version})" for release in known[-5:])
    return f"there is none of this name in git; {'the newest are' if len(known) > 5 else 'there are'} {some}"
