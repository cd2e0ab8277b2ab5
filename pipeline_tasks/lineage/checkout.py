"""A repository on a node: cloned or brought up to date, at one revision."""

import os
import shutil
from pathlib import Path

from pipeline_tasks.errors import ConfigError, TransientError, without_secrets
from pipeline_tasks.lineage.dvc_command import errors_in, run_dvc
from pipeline_tasks.lineage.git import answer, run_git
from pipeline_tasks.storage import PARTIAL

REMOTE = "DEFECTLINE_REMOTE"
"""Environment variable that names the DVC remote which nodes share."""
MARK = ".git/defectline-node"
"""File that tells a clone which was made here, and may be cleaned, from somebody's work."""
ALL = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
"""What a clone has of its origin: branches and tags, and no others."""


def check_out(repository: str, revision: str, folder: Path) -> None:
    """Make `folder` a clone of `repository`, with `revision`, a commit or a branch, checked out as it is there.

    Of a clone that was made here before DVC's cache serves again; all else that git does not have goes, data of another
    revision among it. Raises ConfigError for a folder that is something else or a revision that is not there,
    TransientError where the repository cannot be reached.
    """
    if folder.exists() and any(folder.iterdir()):
        _check_ours(folder, repository)
        (folder / ".git/index.lock").unlink(missing_ok=True)  # of a git that was killed
    else:
        _clone(repository, folder)
    _git(folder, "fetch", "--quiet", "--force", "--prune", "origin", *ALL)
    commit = _commit(folder, f"refs/remotes/origin/{revision}") or _commit(folder, revision)
    if not commit:
        raise ConfigError(f"{without_secrets(repository)}: no revision '{revision}'; push it, or name another one")
    _git(folder, "checkout", "--quiet", "--force", "--detach", commit)
    _git(folder, "clean", "--quiet", "-ffdx", "--exclude=/.dvc")


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


def _check_ours(folder: Path, repository: str) -> None:
    """Raise ConfigError unless a folder is a clone of the repository made here: somebody's work is no place."""
    if not (folder / MARK).exists():
        raise ConfigError(f"{folder}: is there, and `defectline node` has not made it; name another folder")
    if answer(folder, "remote", "get-url", "origin") != repository:
        raise ConfigError(f"{folder}: is no clone of {without_secrets(repository)}; name another folder")


def _clone(repository: str, folder: Path) -> None:
    """Clone without a checkout; a clone that fails or is killed leaves no `folder`."""
    fresh = folder.with_name(f".{folder.name}{PARTIAL}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    _git(fresh, "clone", "--quiet", "--no-checkout", "--", repository, ".")
    (fresh / MARK).touch()
    fresh.replace(folder)


def _git(folder: Path, *arguments: str) -> None:
    done = run_git(folder, *arguments)
    if done.returncode:
        reason = without_secrets(done.stderr.strip() or done.stdout.strip())
        raise TransientError(f"`git {arguments[0]}` failed in {folder}: {reason}; see the repository, then try again")
