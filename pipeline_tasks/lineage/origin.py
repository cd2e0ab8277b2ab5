"""The repository that a node's clone came from: where its releases go."""

from pathlib import Path

from pipeline_tasks.errors import PublicationError, without_secrets
from pipeline_tasks.lineage.git import answer, run_git
from pipeline_tasks.lineage.publish import COMMITTED, ask_git, committer
from pipeline_tasks.lineage.releases import Release, release_of

TRIES = 5
"""How often a push is tried, while others push as well."""


def resume_release(root: Path, version: str) -> None:
    """If another node has released a version from this very revision before it died, take its commit for ours.

    Nothing changes in the workspace: it is the commit that would be made again.
    """
    release = release_of(root, version)
    if release and answer(root, "rev-parse", f"{release.revision}^") == answer(root, "rev-parse", "HEAD"):
        ask_git(root, "reset", "--quiet", release.revision)


def push_release(root: Path, version: str, branch: str) -> str:
    """Push a release's tag to the origin, and make what is checked out a part of `branch` there; return what was done.

    Where the branch has moved on since the run began, a merge commit joins both, so that the release stays as it is.
    Raises PublicationError if git refuses, or the two contradict each other.
    """
    release = release_of(root, version)
    if release is None:
        raise PublicationError(f"git: version {version} has no tag, set register.git_commit: true in params.yaml")
    for attempt in range(TRIES):
        ask_git(root, "fetch", "--quiet", "origin", f"+refs/heads/{branch}:refs/remotes/origin/{branch}")
        tip = _joined(root, release, f"refs/remotes/origin/{branch}")
        refs = [f"{tip}:refs/heads/{branch}", f"refs/tags/{release.tag}"]
        done = run_git(root, "push", "--quiet", "--atomic", "origin", *refs)
        if done.returncode == 0:
            return f"pushed {release.tag} and {branch} to origin"
        if attempt == TRIES - 1 or not _moved(root, branch):
            break
    raise PublicationError(f"`git push` failed: {without_secrets(done.stderr.strip())}; see the origin, then try again")


def _joined(root: Path, release: Release, branch: str) -> str:
    """Return the commit that `branch` should be: HEAD, the branch's own if that says the same, or both merged."""
    if _is_ancestor(root, branch, "HEAD"):
        return ask_git(root, "rev-parse", "HEAD")
    has_release = _is_ancestor(root, release.revision, branch)
    if _is_ancestor(root, "HEAD", branch) or (has_release and _says_the_same(root, branch)):
        return ask_git(root, "rev-parse", branch)
    merged = run_git(root, "merge-tree", "--write-tree", branch, "HEAD")
    if merged.returncode:
        raise PublicationError(
            f"git: {release.tag} and {branch.rpartition('/')[2]} contradict each other: {_conflicts(merged.stdout)}; "
            "begin a new run at the branch's present revision"
        )
    tree = merged.stdout.split()[0]
    message = f"Merge {release.tag}"
    return ask_git(root, *committer(root), "commit-tree", tree, "-p", branch, "-p", "HEAD", "-m", message)


def _says_the_same(root: Path, branch: str) -> bool:
    """Tell whether a branch has what publishing commits, as it is in HEAD."""
    return run_git(root, "diff", "--quiet", "HEAD", branch, "--", *COMMITTED).returncode == 0


def _conflicts(told: str) -> str:
    return "; ".join(line for line in told.splitlines() if line.startswith("CONFLICT")) or "no common history"


def _moved(root: Path, branch: str) -> bool:
    """Tell whether the origin's branch is no longer what was fetched."""
    there = answer(root, "ls-remote", "origin", f"refs/heads/{branch}")
    return bool(there) and str(there).split()[0] != answer(root, "rev-parse", f"refs/remotes/origin/{branch}")


def _is_ancestor(root: Path, older: str, newer: str) -> bool:
    return run_git(root, "merge-base", "--is-ancestor", older, newer).returncode == 0
