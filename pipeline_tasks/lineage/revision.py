"""Which code made a version."""

import subprocess
from pathlib import Path


def git_revision(root: Path) -> tuple[str, bool]:
    """Return the revision checked out at `root` and whether there are uncommitted changes; ("", False) outside git."""
    try:
        return _git(root, "rev-parse", "HEAD"), bool(_git(root, "status", "--porcelain"))
    except (subprocess.CalledProcessError, FileNotFoundError):
        return "", False


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout.strip()
