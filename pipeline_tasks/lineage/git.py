"""git's command line: in English, and without questions on a terminal that nobody watches."""

import os
import subprocess
from pathlib import Path

from pipeline_tasks.errors import DataError


def run_git(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `git ARGUMENTS` at `root` to its end, whatever its status. Raises DataError if git is not installed."""
    command, environment = ["git", *arguments], {**os.environ, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    try:
        return subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, errors="replace", check=False
        )
    except FileNotFoundError as error:
        raise DataError("git: not installed, and it keeps every version's dvc.lock; install it") from error


def answer(root: Path, *arguments: str) -> str | None:
    """Return what git says, stripped; None where it refuses."""
    done = run_git(root, *arguments)
    return None if done.returncode else done.stdout.strip()


def is_partial(root: Path) -> bool:
    """Tell whether a clone lacks history or branches of its origin, so that what it misses is no proof of anything."""
    if answer(root, "rev-parse", "--is-shallow-repository") == "true":
        return True
    fetched = answer(root, "config", "--get-all", "remote.origin.fetch")
    return fetched is not None and "refs/heads/*" not in fetched
