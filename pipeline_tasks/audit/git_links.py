"""What git says of a version: its tag, its commit, and the releases before and after it, which name one another."""

from collections.abc import Iterator
from pathlib import Path

from pipeline_tasks.audit.chain import Link
from pipeline_tasks.errors import DataError
from pipeline_tasks.lineage.git import answer, is_partial, run_git
from pipeline_tasks.lineage.objects import Objects
from pipeline_tasks.lineage.record import load_record
from pipeline_tasks.lineage.releases import PREFIX, Release, releases
from pipeline_tasks.lineage.snapshot import Snapshot, snapshot_at

RESTORE = "restore it from another clone or from MLflow's tag defectline.git_revision"
WHOLE = "audit in a whole clone: `git fetch --unshallow`, or clone again with all branches and tags"


def git_links(root: Path, snapshot: Snapshot, objects: Objects) -> Iterator[Link]:
    """Yield the links between a version's number, its tag and its commit."""
    known, partial = releases(root), is_partial(root)
    yield from _tags(root, known, snapshot)
    yield _history(root, snapshot.revision, partial)
    yield from _neighbours(root, known, snapshot, objects, partial)


def _tags(root: Path, known: list[Release], snapshot: Snapshot) -> Iterator[Link]:
    """Yield a link for every tag that names the version or stands at its commit."""
    found = False
    for release in known:
        if snapshot.lock.version == release.version or snapshot.revision == release.revision:
            found = True
            yield _tag(root, release)
    if not found:
        what = f"no release: no tag {PREFIX}N names version {snapshot.lock.version}"
        yield Link("git tag", "unchecked", what, "`git fetch --tags` gets tags; `defectline publish` tags a version")


def _tag(root: Path, release: Release) -> Link:
    """Return whether a tag stands where the version is that it names."""
    name, at = f"git tag {release.tag}", release.revision[:12]
    if not release.version:
        return Link(name, "broken", f"it stands at {at}, but not as `defectline publish` made it", RESTORE)
    try:
        there = snapshot_at(root, release.revision)
    except DataError as error:
        return Link(name, "broken", f"rewritten: it names version {release.version}, but {error}", RESTORE)
    if there.lock.version != release.version:
        what = f"it names version {release.version}, but the dvc.lock at {at} is of version {there.lock.version}"
        return Link(name, "broken", f"rewritten: {what}", RESTORE)
    if there.record != release.record:
        what = f"it names the lineage.json {release.record}, but lineage.json.dvc at {at} names {there.record}"
        return Link(name, "broken", f"rewritten: {what}", RESTORE)
    return Link(name, "ok", f"names version {release.version} and stands at its commit {at}")


def _history(root: Path, commit: str, partial: bool) -> Link:
    """Tell whether a branch, or what is checked out, leads to the commit; a moved tag may stand outside of all."""
    name = f"git commit {commit[:12]}"
    if run_git(root, "merge-base", "--is-ancestor", commit, "HEAD").returncode == 0:
        return Link(name, "ok", "it is in the history of what is checked out")
    branches = answer(root, "branch", "--all", "--format=%(refname:short)", "--contains", commit)
    if branches:
        return Link(name, "ok", f"it is in the history of {', '.join(branches.split())}")
    if partial:
        return Link(name, "unchecked", "no branch here leads to it, but this clone has not all of them", WHOLE)
    return Link(name, "broken", "no branch leads to it: history was rewritten, or the tag was moved", RESTORE)


def _neighbours(
    root: Path, known: list[Release], snapshot: Snapshot, objects: Objects, partial: bool
) -> Iterator[Link]:
    """Yield what the lineage.json of this and of every later release says of the tags before them."""
    own = next((release.number for release in known if release.version == snapshot.lock.version), None)
    if own is None:
        return
    tags = {release.number: release for release in known}
    for release in known:
        if release.number >= own:
            yield from _predecessor(root, release, tags, objects, partial)


def _predecessor(
    root: Path, release: Release, tags: dict[int, Release], objects: Objects, partial: bool
) -> Iterator[Link]:
    name = f"the release before {release.tag}"
    try:
        record = snapshot_at(root, release.revision).record
        named = load_record(objects, record)["previous"] if record else None
    except DataError as error:
        yield Link(name, "unchecked", f"its lineage.json cannot be read: {error}", "audit that release")
        return
    if named is None:
        return
    before = tags.get(named["number"])
    if before is None and partial:
        yield Link(name, "unchecked", f"this clone does not have tag {PREFIX}{named['number']}", WHOLE)
    elif before is None:
        yield Link(name, "broken", f"tag {PREFIX}{named['number']} is gone", RESTORE)
    elif before.revision != named["revision"]:
        what = f"{before.tag} stood at {named['revision'][:12]} when {release.tag} was published"
        yield Link(name, "broken", f"tag {before.tag} was rewritten: {what}, now at {before.revision[:12]}", RESTORE)
    else:
        yield Link(name, "ok", f"{before.tag} stands where {release.tag} found it, at {before.revision[:12]}")
