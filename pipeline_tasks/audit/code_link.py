"""The code that made the pairs: whether git has it."""

from collections.abc import Collection
from pathlib import Path

from pipeline_tasks.audit.chain import Link
from pipeline_tasks.lineage.files import CODE
from pipeline_tasks.lineage.git import answer, run_git


def code_link(root: Path, revision: str, made_by: Collection[str], own_code_holds: bool) -> Link:
    """Return whether the code that made a version's pairs, git trees by id, is that of its commit or of one before.

    own_code_holds: whether git has the files that generating depends on as it read them. Then it is no fault that other
    files of the package were not committed, only no proof.
    """
    name = "code of the pairs"
    if not made_by:
        return Link(name, "unchecked", "no row could be read that names it", "see the rows")
    commits = {tree: commit for commit, tree in _trees(root, revision)}
    if unknown := ", ".join(sorted(set(made_by) - commits.keys())):
        what, remedy = f"no commit up to {revision[:12]} has the code {unknown}", "commit the code before a refresh"
        if own_code_holds:
            return Link(name, "unchecked", f"{what}, but git has the files that generating depends on", remedy)
        return Link(name, "broken", f"{what}: it was not committed", f"{remedy}, then refresh and publish again")
    told = ", ".join(sorted(f"{tree[:12]} (as of commit {commits[tree][:12]})" for tree in made_by))
    return Link(name, "ok", f"git keeps it: {told}")


def _trees(root: Path, revision: str) -> list[tuple[str, str]]:
    """Return the commits that changed the code, up to `revision`, oldest first, each with the id of its tree."""
    listed = answer(root, "log", "--full-history", "--reverse", "--format=%H", revision, "--", CODE) or ""
    shallow = [revision] if answer(root, "rev-parse", "--is-shallow-repository") == "true" else []
    found = []
    for commit in [*listed.split(), *shallow]:
        tree = run_git(root, "rev-parse", "--verify", "--quiet", f"{commit}:./{CODE}")
        if tree.returncode == 0:
            found.append((commit, tree.stdout.strip()))
    return found
