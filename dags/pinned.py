"""The revision that all pods of a run work on: the newest of the branch, if its graph is the one of their tasks."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pipeline_tasks.errors import ConfigError, TransientError, without_secrets
from pipeline_tasks.lineage.git import answer, run_git
from pipeline_tasks.lineage.graph import graph_digest


class Commit(NamedTuple):
    """A commit and when it was made."""

    revision: str
    made: datetime

    def __str__(self) -> str:
        return f"{self.revision[:12]} of {self.made:%Y-%m-%d %H:%M} UTC"


def newest_revision(repository: str, branch: str, root: Path, digest: str) -> str:
    """Return the newest revision of the repository's branch.

    root, digest: the checkout that the tasks were derived from, and its graph's. Raises TransientError if the branch
    cannot be had, or its graph is another: both may have changed when this is tried again.
    """
    with tempfile.TemporaryDirectory() as folder:
        newest = _fetch(repository, branch, Path(folder))
        if _digest(Path(folder)) != digest:
            raise TransientError(_difference(repository, branch, newest, _commit_at(root)))
        return newest.revision


def _fetch(repository: str, branch: str, folder: Path) -> Commit:
    """Check out the newest commit of the branch in an empty folder, without its history."""
    for arguments in (
        ("init", "--quiet"),
        ("fetch", "--quiet", "--depth=1", "--no-tags", "--", repository, f"refs/heads/{branch}"),
        ("checkout", "--quiet", "FETCH_HEAD"),
    ):
        done = run_git(folder, *arguments)
        if done.returncode:
            reason = without_secrets(" ".join(done.stderr.split()))
            raise TransientError(f"{without_secrets(repository)}, branch {branch}: `git {arguments[0]}`: {reason}")
    commit = _commit_at(folder)
    assert commit is not None, "it has just been checked out"  # noqa: S101 - for the type checker
    return commit


def _commit_at(root: Path) -> Commit | None:
    """Return the commit that is checked out; None if git cannot tell."""
    told = answer(root, "-c", f"safe.directory={root.resolve()}", "log", "-1", "--format=%H %ct")
    if not told:
        return None
    revision, _, seconds = told.partition(" ")
    return Commit(revision, datetime.fromtimestamp(int(seconds), UTC))


def _digest(folder: Path) -> str | None:
    try:
        return graph_digest(folder)
    except ConfigError:  # no pipeline, or a broken one
        return None


def _difference(repository: str, branch: str, newest: Commit, own: Commit | None) -> str:
    found = f"{without_secrets(repository)}, branch {branch}: the graph there, at {newest}, is not that of these tasks"
    if own is None:
        return f"{found}; wait until the DAGs' checkout follows the branch, or push what it is ahead"
    if own.revision == newest.revision:
        return f"{found}, whose checkout differs from its own commit {own}: commit and push what was changed there"
    if own.made > newest.made:
        return f"{found}, which are newer, from {own}: push them to the branch"
    return f"{found}, which are older, from {own}: their checkout follows by git-sync, and this is tried again"
