import getpass
import os
import subprocess

from pipeline_tasks.lineage.revision import git_identity, git_revision


def git(root, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@t"]
    done = subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_revision_and_uncommitted_changes(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-qm", "a")
    assert git_revision(tmp_path) == (git(tmp_path, "rev-parse", "HEAD"), False)
    (tmp_path / "a").write_text("2")
    assert git_revision(tmp_path)[1]


def test_outside_git_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_revision(tmp_path) == ("", False)


def test_who_acts_is_whom_git_knows(tmp_path, without_git_identity, monkeypatch):
    git(tmp_path, "init", "-q")
    git(tmp_path, "config", "user.name", "Ann of Ulm")
    git(tmp_path, "config", "user.email", "ann@example.org")
    assert git_identity(tmp_path) == "Ann of Ulm <ann@example.org>"
    monkeypatch.setenv("GIT_COMMITTER_NAME", "Bob")
    assert git_identity(tmp_path) == "Bob <ann@example.org>"


def test_where_git_knows_nobody_it_is_the_user(tmp_path, without_git_identity, monkeypatch):
    (tmp_path / "gitconfig").write_text("[user]\n\tuseConfigOnly = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("LOGNAME", "ann")
    assert git_identity(tmp_path) == "ann"


def test_a_user_that_nobody_has_entered_goes_by_number(tmp_path, monkeypatch):
    def unknown() -> str:
        raise OSError("no such user")

    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(getpass, "getuser", unknown)
    assert git_identity(tmp_path) == f"user {os.getuid()}"
