from pathlib import Path

import pytest
from nodes import git

from pipeline_tasks.errors import PublicationError
from pipeline_tasks.lineage import origin as releasing
from pipeline_tasks.lineage.checkout import check_out
from pipeline_tasks.lineage.git import answer
from pipeline_tasks.lineage.origin import push_release, resume_release
from pipeline_tasks.lineage.publish import tag_version

VERSION, RECORD = "0123456789ab", "0" * 32


@pytest.fixture
def bare(tiny_pipeline: Path, tmp_path: Path) -> Path:
    git(tiny_pipeline, "branch", "--move", "trunk")
    git(tmp_path, "clone", "--bare", str(tiny_pipeline), "origin.git")
    return tmp_path / "origin.git"


def clone_of(bare: Path, name: str) -> Path:
    check_out(bare.as_uri(), "trunk", bare.parent / name)
    return bare.parent / name


def write(root: Path, name: str, text: str) -> None:
    (root / name).write_text(text)
    git(root, "add", name)
    git(root, "commit", "--message", f"Write {name}")


def released(bare: Path, name: str, version: str = VERSION) -> Path:
    root = clone_of(bare, name)
    write(root, "dvc.lock", f"stages: {{}} # {version}")
    tag_version(root, version, RECORD)
    return root


def test_a_release_becomes_the_branch(bare):
    root = released(bare, "node")
    assert push_release(root, VERSION, "trunk") == "pushed dataset-1 and trunk to origin"
    released_as = [answer(bare, "rev-parse", name) for name in ("trunk", "dataset-1^{}")]
    assert released_as == [answer(root, "rev-parse", "HEAD")] * 2
    assert push_release(root, VERSION, "trunk") == "pushed dataset-1 and trunk to origin"


def test_where_the_branch_has_moved_both_are_joined_and_the_release_stays(bare):
    root, other = released(bare, "node"), clone_of(bare, "other")
    write(other, "note.txt", "a change")
    git(other, "push", "origin", "HEAD:trunk")
    push_release(root, VERSION, "trunk")
    parents = str(answer(bare, "rev-list", "--parents", "-1", "trunk")).split()[1:]
    assert parents == [answer(other, "rev-parse", "HEAD"), answer(root, "rev-parse", "HEAD")]
    assert answer(bare, "rev-parse", "dataset-1^{}") == answer(root, "rev-parse", "HEAD")
    assert answer(bare, "ls-tree", "--name-only", "trunk", "note.txt", "dvc.lock") == "dvc.lock\nnote.txt"


def test_a_push_that_is_overtaken_is_tried_again(bare, monkeypatch):
    root, other = released(bare, "node"), clone_of(bare, "other")
    joined, late = releasing._joined, [other]

    def overtaken(*arguments):
        found = joined(*arguments)
        if late:
            write(late[0], "note.txt", "a change")
            git(late.pop(), "push", "origin", "HEAD:trunk")
        return found

    monkeypatch.setattr(releasing, "_joined", overtaken)
    push_release(root, VERSION, "trunk")
    assert answer(bare, "merge-base", "--is-ancestor", str(answer(root, "rev-parse", "HEAD")), "trunk") == ""


def test_contradictions_are_told_and_nothing_is_pushed(bare):
    root, other = released(bare, "node"), clone_of(bare, "other")
    write(other, "dvc.lock", "stages: {} # another")
    git(other, "push", "origin", "HEAD:trunk")
    with pytest.raises(PublicationError, match=r"dataset-1 and trunk contradict each other: CONFLICT.*lock.*new run"):
        push_release(root, VERSION, "trunk")
    assert answer(bare, "tag") == ""


def test_a_version_without_a_tag_cannot_be_pushed(bare):
    with pytest.raises(PublicationError, match=r"has no tag, set register\.git_commit: true"):
        push_release(clone_of(bare, "node"), VERSION, "trunk")


def test_a_refused_push_is_told(bare):
    root = released(bare, "node")
    hook = bare / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho closed for the night >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(PublicationError, match=r"`git push` failed: .*closed for the night"):
        push_release(root, VERSION, "trunk")


def test_a_run_that_died_after_its_push_is_resumed_without_another_commit(bare):
    begun = clone_of(bare, "later")
    push_release(released(bare, "node"), VERSION, "trunk")
    ask = answer(begun, "rev-parse", "HEAD")
    check_out(bare.as_uri(), str(ask), begun)
    (begun / "dvc.lock").write_text(f"stages: {{}} # {VERSION}")
    resume_release(begun, VERSION)
    assert answer(begun, "rev-parse", "HEAD") == answer(bare, "rev-parse", "dataset-1^{}")
    assert answer(begun, "status", "--porcelain") == ""
    resume_release(begun, "ba9876543210")
    push_release(begun, VERSION, "trunk")
    assert answer(bare, "rev-parse", "trunk") == answer(bare, "rev-parse", "dataset-1^{}")


def test_a_version_that_comes_back_becomes_the_branch_again(bare):
    for name, version in (("first", VERSION), ("second", "ba9876543210")):
        push_release(released(bare, name, version), version, "trunk")
    root = clone_of(bare, "third")
    write(root, "dvc.lock", f"stages: {{}} # {VERSION}")
    resume_release(root, VERSION)
    push_release(root, VERSION, "trunk")
    assert answer(bare, "show", "trunk:dvc.lock") == f"stages: {{}} # {VERSION}"
    assert answer(bare, "tag") == "dataset-1\ndataset-2"
