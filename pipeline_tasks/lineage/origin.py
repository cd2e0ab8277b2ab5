"""The repository that a node's clone came from: where its releases go."""

from pathlib import Path

from pipeline_tasks.errors import PublicationError, without_secrets
from pipeline_tasks.lineage.git import answer, run_git
from pipeline_tasks.lineage.publish import ask_git, committer
from pipeline_tasks.lineage.releases import Release, release_of

TRIES = 5
"""How often a push is tried, while others push as well."""


def return_to_release(root: Path, version: str) -> None:
    """Check out the commit that keeps a version, if it is released already: what is done is not done again."""
    if release := release_of(root, version):
        ask_git(root, "checkout", "--quiet", "--force", "--detach", release.revision)


def push_release(root: Path, version: str, branch: str) -> str:
    """Push a release's tag to the origin, and make its commit a part of `branch` there; return what was done.

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
    """Return the commit that `branch` should be: the release's, the branch's if it has that already, or both merged."""
    if _is_ancestor(root, branch, release.revision):
        return release.revision
    if _is_ancestor(root, release.revision, branch):
        return ask_git(root, "rev-parse", branch)
    merged = run_git(root, "merge-tree", "--write-tree", branch, release.revision)
    if merged.returncode:
        raise PublicationError(
            f"git: {release.tag} and {branch.rpartition('/')[2]} contradict each other: {_conflicts(merged.stdout)}; "
            "begin a new run at the branch's present revision"
        )
    tree = merged.stdout.split()[0]
    message = f"Merge {release.tag}"
    return ask_git(root, *committer(root), "commit-tree", tree, "-p", branch, "-p", release.revision, "-m", message)


def _conflicts(told: str) -> str:
    return "; ".join(line for line in told.splitlines() if line.startswith("CONFLICT")) or "no common history"


def _moved(root: Path, branch: str) -> bool:
    """Tell whether the origin's branch is no longer what was fetched."""
    there = answer(root, "ls-remote", "origin", f"refs/heads/{branch}")
    return bool(there) and str(there).split()[0] != answer(root, "rev-parse", f"refs/remotes/origin/{branch}")


def _is_ancestor(root: Path, older: str, newer: str) -> bool:
    return run_git(root, "merge-base", "--is-ancestor", older, newer).returncode == 0
