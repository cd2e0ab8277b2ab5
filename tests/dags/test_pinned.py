"""Which revision a run of pods works on."""

import os
import subprocess
from pathlib import Path

import pytest

from dags.pinned import newest_revision
from pipeline_tasks.errors import TransientError
from pipeline_tasks.lineage.graph import graph_digest


def git(root: Path, *arguments: str, day: int = 1) -> str:
    date = f"2031-02-{day:02d}T03:04:05Z"
    environment = {**os.environ, "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments]
    return subprocess.check_output(command, cwd=root, env=environment, text=True, stderr=subprocess.STDOUT).strip()


def change(root: Path, name: str, day: int) -> str:
    """Commit a change of a file and return the revision."""
    with (root / name).open("a") as stream:
        stream.write("# changed\n")
    git(root, "commit", "--quiet", "--all", "--message", f"Change {name}", day=day)
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def origin(tiny_pipeline, tmp_path):
    """The repository that pods clone; from `tiny_pipeline`, which is at the same commit, tasks are derived."""
    git(tiny_pipeline, "branch", "--move", "main")
    git(tiny_pipeline, "commit", "--quiet", "--amend", "--no-edit", "--date=2031-02-01T03:04:05Z")
    git(tmp_path, "clone", "--quiet", str(tiny_pipeline), "origin")
    return tmp_path / "origin"


def newest(origin: Path, root: Path) -> str:
    return newest_revision(f"file://{origin}", "main", root, graph_digest(root))


def test_it_is_the_newest_of_the_branch_while_that_has_the_same_graph(origin, tiny_pipeline):
    assert newest(origin, tiny_pipeline) == git(tiny_pipeline, "rev-parse", "HEAD")
    later = change(origin, "stage.sh", day=2)
    assert newest(origin, tiny_pipeline) == later, "other code, the same graph"
    git(origin, "checkout", "--quiet", "-b", "other")
    change(origin, "dvc.yaml", day=3)
    assert newest(origin, tiny_pipeline) == later, "what goes on elsewhere is nothing to it"


@pytest.mark.parametrize("name", ["dvc.yaml", "params.yaml", "catalog.yaml"])
def test_a_checkout_that_is_behind_waits(origin, tiny_pipeline, name):
    change(origin, name, day=2)
    with pytest.raises(TransientError, match=r"main: .*2031-02-02.*are older.*2031-02-01.*follows by git-sync") as told:
        newest(origin, tiny_pipeline)
    assert git(origin, "rev-parse", "--short=12", "HEAD") in str(told.value)
    git(tiny_pipeline, "pull", "--quiet", str(origin), "main")
    assert newest(origin, tiny_pipeline) == git(origin, "rev-parse", "HEAD")


def test_a_checkout_that_is_ahead_is_to_be_pushed(origin, tiny_pipeline):
    change(tiny_pipeline, "catalog.yaml", day=2)
    with pytest.raises(TransientError, match=r"are newer.*2031-02-02.*push them to the branch"):
        newest(origin, tiny_pipeline)


def test_a_checkout_with_changes_that_git_does_not_have_is_told(origin, tiny_pipeline):
    (tiny_pipeline / "params.yaml").write_text("run: {seed: 1}\n")
    with pytest.raises(TransientError, match=r"differs from its own commit.*commit and push"):
        newest(origin, tiny_pipeline)


def test_a_checkout_that_git_does_not_know_is_told(origin, tiny_pipeline, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    change(tiny_pipeline, "params.yaml", day=2)
    (tiny_pipeline / ".git").rename(tmp_path / "elsewhere")
    with pytest.raises(TransientError, match="wait until the DAGs' checkout follows the branch, or push"):
        newest(origin, tiny_pipeline)


def test_a_branch_without_a_pipeline_is_another_graph(origin, tiny_pipeline):
    git(origin, "rm", "--quiet", "dvc.yaml")
    git(origin, "commit", "--quiet", "--message", "Nothing left", day=2)
    with pytest.raises(TransientError, match="are older"):
        newest(origin, tiny_pipeline)


def test_what_cannot_be_reached_is_named_without_its_password(tiny_pipeline, tmp_path):
    with pytest.raises(TransientError, match=r"/none, branch main: `git fetch`: .*not appear to be a git repository"):
        newest(tmp_path / "none", tiny_pipeline)
    with pytest.raises(TransientError, match=r"https://127\.0\.0\.1:9/a, branch main: `git fetch`: ") as told:
        newest_revision("https://me:hunter2@127.0.0.1:9/a", "main", tiny_pipeline, "")
    assert "hunter2" not in str(told.value)


def test_a_branch_that_is_not_there_is_named(origin, tiny_pipeline):
    with pytest.raises(TransientError, match=r"branch none: `git fetch`: .*refs/heads/none"):
        newest_revision(str(origin), "none", tiny_pipeline, graph_digest(tiny_pipeline))
