"""Which code made a version, and who acts on one."""

import getpass
import os
import subprocess
from pathlib import Path


def git_revision(root: Path) -> tuple[str, bool]:
    """Return the revision checked out at `root` and whether there are uncommitted changes; ("", False) outside git."""
    try:
        return _git(root, "rev-parse", "HEAD"), bool(_git(root, "status", "--porcelain"))
    except (subprocess.CalledProcessError, FileNotFoundError):
        return "", False


def git_identity(root: Path) -> str:
    """Return "NAME <EMAIL>" as git knows the committer at `root`; where it knows nobody, the name of the user."""
    try:
        return _git(root, "var", "GIT_COMMITTER_IDENT").rsplit(" ", 2)[0]
    except (subprocess.CalledProcessError, FileNotFoundError):
        return _user()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user that nobody has entered
        return f"user {os.getuid()}"


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout.strip()
