"""The steps that publish a refreshed dataset, in their order: check, commit the lock, tag it, push the data.

Each is idempotent, so that a run that died between two of them is completed by the next. Registration follows them.
"""

import json
import os
from pathlib import Path

from pipeline_tasks.errors import DataError, PublicationError
from pipeline_tasks.lineage.dvc_command import errors_in, run_dvc
from pipeline_tasks.lineage.files import CODE, RECORD, SPLITS
from pipeline_tasks.lineage.git import answer, run_git
from pipeline_tasks.lineage.graph import load_graph
from pipeline_tasks.lineage.releases import PREFIX, number_for, release_of, releases, tag_message
from pipeline_tasks.report.words import joined

COMMITTED = ("dvc.lock", "catalog.yaml", "params.yaml", f"{RECORD}.dvc", SPLITS)
_IDENTITY = ("-c", "user.name=defectline", "-c", "user.email=defectline@localhost")
_AGAIN = "then `defectline publish` again; what is already done is not repeated"


def check_complete(root: Path) -> None:
    """Check that dvc.lock describes the workspace. Raises PublicationError naming every stage that is out of date."""
    status = run_dvc(root, "status", "--json")
    if status.returncode != 0:
        raise PublicationError(f"`dvc status` failed: {errors_in(status.stderr)}; correct it, {_AGAIN}")
    changed = json.loads(status.stdout)
    stale = [stage.name for stage in load_graph(root).stages if stage.name in changed]
    if stale:
        raise PublicationError(
            f"dvc.lock: {len(stale)} of the stages are out of date ({', '.join(stale)}): something they depend on has "
            f"changed since they ran; run `dvc repro`, {_AGAIN}"
        )


def commit_lock(root: Path) -> str:
    """Commit dvc.lock and what belongs to it (COMMITTED), and nothing else, if changed; return what was done.

    Raises PublicationError if git refuses.
    """
    if not _is_git(root):
        return "not a git repository: dvc.lock stays uncommitted"
    paths = [name for name in COMMITTED if _holds_files(root / name)]
    if not ask_git(root, "status", "--porcelain", "--", *paths):
        return f"{joined(paths)}: committed already"
    ask_git(root, "add", "--", *paths)
    ask_git(root, *committer(root), "commit", "--quiet", "--message", "Refresh the dataset", "--", *paths)
    return f"committed {joined(paths)} as {ask_git(root, 'rev-parse', '--short', 'HEAD')}"


def uncommitted_code(root: Path) -> str:
    """Return a warning if git does not have the code as it ran; "" if it has, or there is no git."""
    changed = answer(root, "status", "--porcelain", "--", CODE, "dvc.yaml")
    if not changed:
        return ""
    files = ", ".join(line.split(maxsplit=1)[1] for line in changed.splitlines())
    return f"warning: not in git as they ran: {files}; an audit will miss this code, commit it before a refresh"


def tag_version(root: Path, version: str, record: str) -> str:
    """Tag the commit of a version's lock as the next release, unless it is one; return what was done.

    version: that of dvc.lock; record: DVC's MD5 of its lineage.json. Raises PublicationError if git refuses.
    """
    if not _is_git(root):
        return "not a git repository: the version has no tag"
    if known := release_of(root, version):
        return f"{known.tag} is this version already"
    _check_tags(root)
    tag = f"{PREFIX}{number_for(root, version)}"
    ask_git(root, *committer(root), "tag", "--annotate", tag, "--message", tag_message(version, record))
    return f"tagged {tag}"


def _check_tags(root: Path) -> None:
    """Raise PublicationError if the origin has releases and this clone none: the next one's number is not known."""
    if releases(root):
        return
    listed = answer(root, "ls-remote", "--tags", "origin", f"refs/tags/{PREFIX}*")
    if listed:
        raise PublicationError(f"git: the origin has releases, this clone has none; `git fetch --tags`, {_AGAIN}")


def committer(root: Path) -> tuple[str, ...]:
    """Return git's options that name a committer, where the repository has none."""
    known = os.environ.get("GIT_COMMITTER_EMAIL") or ask_git(root, "config", "--default", "", "--get", "user.email")
    return () if known else _IDENTITY


def _holds_files(path: Path) -> bool:
    """Tell whether there is something for git to keep: a file, or a folder with splits in it."""
    return any(path.glob("*.csv")) if path.is_dir() else path.exists()


def push_data(root: Path) -> str:
    """Push the data and the run-cache to DVC's default remote; return what was done, in words.

    Raises PublicationError if there is no remote or it cannot be written.
    """
    pushed = run_dvc(root, "push", "--run-cache")
    if pushed.returncode != 0:
        raise PublicationError(
            f"`dvc push` failed: {errors_in(pushed.stderr)}; the data is safe in the local cache: correct the remote "
            f"(`dvc remote list`), {_AGAIN}"
        )
    return f"data and run-cache: {pushed.stdout.strip() or 'pushed'}"


def _is_git(root: Path) -> bool:
    """Tell whether `root` is in a git work tree. Raises PublicationError if git itself cannot say."""
    try:
        return bool(ask_git(root, "rev-parse", "--is-inside-work-tree"))
    except PublicationError as error:
        if "not a git repository" in str(error):
            return False
        raise


def ask_git(root: Path, *arguments: str) -> str:
    """Return what git says. Raises PublicationError if it refuses, or is not installed."""
    try:
        done = run_git(root, *arguments)
    except DataError as error:
        raise PublicationError(f"{error}, or set register.git_commit: false in params.yaml") from error
    if done.returncode != 0:
        raise PublicationError(
            f"`git {' '.join(arguments)}` failed: {done.stderr.strip() or done.stdout.strip()}; correct it, {_AGAIN} "
            "(or set register.git_commit: false in params.yaml)"
        )
    return done.stdout.strip()
