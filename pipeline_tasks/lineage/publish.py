"""The steps that publish a refreshed dataset, in their order: check, commit the lock, push the data.

Each is idempotent, so that a run that died between two of them is completed by the next. Registration follows them.
"""

import json
import os
import subprocess
from pathlib import Path

from pipeline_tasks.errors import PublicationError
from pipeline_tasks.lineage.dvc_command import run_dvc
from pipeline_tasks.lineage.files import SPLITS
from pipeline_tasks.lineage.graph import load_graph

_COMMITTED = ("dvc.lock", "catalog.yaml", "params.yaml", SPLITS)
_IDENTITY = ("-c", "user.name=defectline", "-c", "user.email=defectline@localhost")
_AGAIN = "then `defectline publish` again; what is already done is not repeated"


def check_complete(root: Path) -> None:
    """Check that dvc.lock describes the workspace. Raises PublicationError naming every stage that is out of date."""
    status = run_dvc(root, "status", "--json")
    if status.returncode != 0:
        raise PublicationError(f"`dvc status` failed: {_reason(status.stderr)}; correct it, {_AGAIN}")
    changed = json.loads(status.stdout)
    stale = [stage.name for stage in load_graph(root).stages if stage.name in changed]
    if stale:
        raise PublicationError(
            f"dvc.lock: {len(stale)} of the stages are out of date ({', '.join(stale)}): something they depend on has "
            f"changed since they ran; run `dvc repro`, {_AGAIN}"
        )


def commit_lock(root: Path) -> str:
    """Commit dvc.lock, catalog.yaml, params.yaml and the splits, and nothing else, if changed; return what was done.

    Raises PublicationError if git refuses.
    """
    if not _is_git(root):
        return "not a git repository: dvc.lock stays uncommitted"
    paths = [name for name in _COMMITTED if _holds_files(root / name)]
    if not _git(root, "status", "--porcelain", "--", *paths):
        return f"{_and(paths)}: committed already"
    _git(root, "add", "--", *paths)
    has_identity = os.environ.get("GIT_COMMITTER_EMAIL") or _git(root, "config", "--default", "", "--get", "user.email")
    identity = () if has_identity else _IDENTITY
    _git(root, *identity, "commit", "--quiet", "--message", "Refresh the dataset", "--", *paths)
    return f"committed {_and(paths)} as {_git(root, 'rev-parse', '--short', 'HEAD')}"


def _holds_files(path: Path) -> bool:
    """Tell whether there is something for git to keep: a file, or a folder with splits in it."""
    return any(path.glob("*.csv")) if path.is_dir() else path.exists()


def _and(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), *names[-1:]]) if len(names) > 1 else names[0]


def push_data(root: Path) -> str:
    """Push the data and the run-cache to DVC's default remote; return what was done, in words.

    Raises PublicationError if there is no remote or it cannot be written.
    """
    pushed = run_dvc(root, "push", "--run-cache")
    if pushed.returncode != 0:
        raise PublicationError(
            f"`dvc push` failed: {_reason(pushed.stderr)}; the data is safe in the local cache: correct the remote "
            f"(`dvc remote list`), {_AGAIN}"
        )
    return f"data and run-cache: {pushed.stdout.strip() or 'pushed'}"


def _is_git(root: Path) -> bool:
    """Tell whether `root` is in a git work tree. Raises PublicationError if git itself cannot say."""
    try:
        return bool(_git(root, "rev-parse", "--is-inside-work-tree"))
    except PublicationError as error:
        if "not a git repository" in str(error):
            return False
        raise


def _git(root: Path, *arguments: str) -> str:
    command, environment = ["git", *arguments], {**os.environ, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise PublicationError("git: not installed; install it or set register.git_commit: false") from error
    if done.returncode != 0:
        raise PublicationError(
            f"`git {' '.join(arguments)}` failed: {done.stderr.strip() or done.stdout.strip()}; correct it, {_AGAIN} "
            "(or set register.git_commit: false in params.yaml)"
        )
    return done.stdout.strip()


def _reason(stderr: str) -> str:
    """Return the errors among what DVC wrote, without its hints."""
    return "; ".join(line for line in stderr.splitlines() if line.startswith("ERROR: ")) or stderr.strip()
