"""A repository on a node: cloned or brought up to date, at one revision."""

import os
import shutil
from pathlib import Path

from pipeline_tasks.errors import ConfigError, TransientError, without_secrets
from pipeline_tasks.lineage.dvc_command import errors_in, run_dvc
from pipeline_tasks.lineage.git import answer, run_git

REMOTE = "DEFECTLINE_REMOTE"
"""Environment variable that names the DVC remote which nodes share."""
ALL = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
"""What a clone has of its origin: branches and tags, and no others."""


def check_out(repository: str, revision: str, folder: Path) -> None:
    """Make `folder` a clone of `repository`, with `revision`, a commit or a branch, checked out as it is there.

    A clone of the same repository that is there is brought up to date, so that DVC's cache in it serves again; tags
    that the repository does not have are removed. Raises ConfigError for a folder that is something else or a revision
    that is not there, TransientError where the repository cannot be reached.
    """
    if not (folder / ".git").exists():
        _clone(repository, folder)
    elif answer(folder, "remote", "get-url", "origin") != repository:
        raise ConfigError(f"{folder}: is no clone of {without_secrets(repository)}; remove it or name another folder")
    _git(folder, "fetch", "--quiet", "--force", "--prune", "origin", *ALL)
    commit = _commit(folder, f"refs/remotes/origin/{revision}") or _commit(folder, revision)
    if not commit:
        raise ConfigError(f"{without_secrets(repository)}: no revision '{revision}'; push it, or name another one")
    _git(folder, "checkout", "--quiet", "--force", "--detach", commit)


def share_remote(folder: Path) -> None:
    """Make the DVC remote that the environment names the default one of this clone, and of nobody else.

    Raises ConfigError if DVC does not take it.
    """
    if not (url := os.environ.get(REMOTE)):
        return
    done = run_dvc(folder, "remote", "add", "--local", "--force", "--default", "shared", url)
    if done.returncode:
        raise ConfigError(f"{REMOTE}: DVC refuses {without_secrets(url)}: {errors_in(done.stderr)}")


def _commit(folder: Path, revision: str) -> str | None:
    return answer(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")


def _clone(repository: str, folder: Path) -> None:
    """Clone without a checkout; a clone that fails leaves nothing behind."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ConfigError(f"{folder}: is not empty and no git repository; remove it or name another folder")
    try:
        _git(folder, "clone", "--quiet", "--no-checkout", "--", repository, ".")
    except TransientError:
        shutil.rmtree(folder)
        raise


def _git(folder: Path, *arguments: str) -> None:
    done = run_git(folder, *arguments)
    if done.returncode:
        reason = without_secrets(done.stderr.strip() or done.stdout.strip())
        raise TransientError(f"`git {arguments[0]}` failed in {folder}: {reason}; see the repository, then try again")
