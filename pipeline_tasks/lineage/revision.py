"""Which code made a version, and who acts on one."""

import getpass
import os
from pathlib import Path

from pipeline_tasks.errors import DataError
from pipeline_tasks.lineage.git import answer


def git_revision(root: Path) -> tuple[str, bool]:
    """Return the revision checked out at `root` and whether there are uncommitted changes; ("", False) outside git."""
    revision, changed = _answer(root, "rev-parse", "HEAD"), _answer(root, "status", "--porcelain")
    return ("", False) if revision is None or changed is None else (revision, bool(changed))


def git_identity(root: Path) -> str:
    """Return "NAME <EMAIL>" as git knows the committer at `root`; where it knows nobody, the name of the user."""
    identity = _answer(root, "var", "GIT_COMMITTER_IDENT")
    return _user() if identity is None else identity.rsplit(" ", 2)[0]


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user that nobody has entered
        return f"user {os.getuid()}"


def _answer(root: Path, *arguments: str) -> str | None:
    """Return what git says; None where it refuses, or is not installed."""
    try:
        return answer(root, *arguments)
    except DataError:
        return None
