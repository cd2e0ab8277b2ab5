from pathlib import Path

import pytest
from nodes import git

from pipeline_tasks.errors import ConfigError, TransientError
from pipeline_tasks.lineage.checkout import check_out, share_remote
from pipeline_tasks.lineage.git import answer


@pytest.fixture
def origin(tiny_pipeline: Path) -> Path:
    git(tiny_pipeline, "branch", "--move", "trunk")
    git(tiny_pipeline, "tag", "dataset-1")
    return tiny_pipeline


def test_a_branch_and_a_commit_can_be_checked_out(origin, tmp_path):
    first = answer(origin, "rev-parse", "HEAD")
    check_out(origin.as_uri(), "trunk", tmp_path / "clone")
    git(origin, "commit", "--allow-empty", "--message", "second")
    check_out(origin.as_uri(), "trunk", tmp_path / "clone")
    assert answer(tmp_path / "clone", "rev-parse", "HEAD") == answer(origin, "rev-parse", "HEAD")
    check_out(origin.as_uri(), str(first), tmp_path / "clone")
    assert answer(tmp_path / "clone", "rev-parse", "HEAD") == first


def test_of_a_clone_dvcs_cache_alone_is_kept(origin, tmp_path):
    clone = tmp_path / "clone"
    check_out(origin.as_uri(), "trunk", clone)
    (clone / "dvc.yaml").write_text("stages: {}")
    for left in ("data/pairs/old", ".work/train/plate/state", ".dvc/cache/files/kept"):
        (clone / left).parent.mkdir(parents=True)
        (clone / left).write_text("left")
    git(clone, "tag", "dataset-2")
    (clone / ".git/index.lock").touch()
    check_out(origin.as_uri(), "trunk", clone)
    assert (clone / "dvc.yaml").read_text() == (origin / "dvc.yaml").read_text()
    assert (clone / ".dvc/cache/files/kept").exists()
    assert not (clone / "data").exists() and not (clone / ".work").exists()
    assert answer(clone, "tag") == "dataset-1"


def test_somebodys_work_is_refused(origin, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    git(tmp_path, "clone", origin.as_uri(), "work")
    for name in ("mine", "work"):
        with pytest.raises(ConfigError, match=f"{name}: is there, and `defectline node` has not made it"):
            check_out(origin.as_uri(), "trunk", tmp_path / name)
    assert (tmp_path / "mine/notes.txt").exists()
    (tmp_path / "empty").mkdir()
    check_out(origin.as_uri(), "trunk", tmp_path / "empty")
    with pytest.raises(ConfigError, match="is no clone of https://host/other"):
        check_out("https://me:secret@host/other", "trunk", tmp_path / "empty")


def test_a_repository_out_of_reach_may_come_back_and_leaves_nothing(origin, tmp_path):
    with pytest.raises(TransientError, match="`git clone` failed"):
        check_out((tmp_path / "nowhere").as_uri(), "trunk", tmp_path / "clone")
    assert not (tmp_path / "clone").exists()


@pytest.mark.parametrize("revision", ["release", "0" * 40, "--upload-pack=true", "HEAD:dvc.yaml"])
def test_a_revision_that_is_not_there_is_named(origin, tmp_path, revision):
    with pytest.raises(ConfigError, match=f"no revision '{revision}'"):
        check_out(origin.as_uri(), revision, tmp_path / "clone")


def test_the_environment_names_the_remote_of_this_clone_alone(origin, tmp_path, monkeypatch):
    clone = tmp_path / "clone"
    check_out(origin.as_uri(), "trunk", clone)
    share_remote(clone)
    assert not (clone / ".dvc/config.local").exists()
    monkeypatch.setenv("DEFECTLINE_REMOTE", "s3://bucket/place")
    share_remote(clone)
    share_remote(clone)
    told = (clone / ".dvc/config.local").read_text()
    assert "url = s3://bucket/place" in told and "remote = shared" in told
    assert answer(clone, "status", "--porcelain") == ""
