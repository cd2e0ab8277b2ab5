import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from nodes import git, make_origin
from tiny_project import call

from pipeline_tasks.lineage.checkout import check_out, share_remote

FINE = {
    "sh stage.sh ingest-${key} data/samples/${key} ${item.path}": "sh stage.sh ingest-${key} data/samples/${key} "
    "${item.path} && cp ${item.path}/*.txt data/samples/${key}/",
    "${item.defect} data/samples/${item.product}": "${item.defect} data/samples/${item.product}/${item.defect}.txt",
    "        - data/samples/${item.product}\n": "        - data/samples/${item.product}/${item.defect}.txt\n",
}
"""What makes the tiny pipeline like the real one: a defect's stage reads one file of what ingest makes."""


@pytest.fixture(scope="session")
def shared_template(tmp_path_factory: pytest.TempPathFactory, make_pipeline: Callable[[Path], Path]) -> Path:
    """The tiny pipeline, never run, its raw data on a remote, in a place that has an origin of it."""
    place = tmp_path_factory.mktemp("shared")
    project = make_pipeline(place / "project")
    text = (project / "dvc.yaml").read_text()
    for old, new in FINE.items():
        assert old in text
        text = text.replace(old, new)
    (project / "dvc.yaml").write_text(text)
    for defect in ("pit", "dent"):
        (project / "raw/plate" / f"{defect}.txt").write_text(f"a sample of {defect}")
    call(project, "dvc", "remote", "add", "--quiet", "--force", "--default", "local", str(place / "remote"))
    call(project, "git", "rm", "-r", "--quiet", "--cached", "raw")
    call(project, "dvc", "add", "--quiet", "raw/plate")
    call(project, "dvc", "push", "--quiet")
    call(project, "git", "add", "raw", ".dvc", "dvc.yaml")
    git(project, "commit", "--message", "Share")
    make_origin(place, project)
    return place


@pytest.fixture
def shared(shared_template: Path, tmp_path: Path) -> Path:
    """A throwaway copy of that place: `origin.git` and `remote`."""
    shutil.copytree(shared_template / "origin.git", tmp_path / "origin.git")
    shutil.copytree(shared_template / "remote", tmp_path / "remote")
    return tmp_path


@pytest.fixture
def clone(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Makes a clone of it, by name, with a DVC cache of its own, or brings it up to date."""
    monkeypatch.setenv("DEFECTLINE_REMOTE", str(shared / "remote"))

    def make(name: str) -> Path:
        check_out((shared / "origin.git").as_uri(), "trunk", shared / name)
        share_remote(shared / name)
        return shared / name

    return make


def committed(root: Path, message: str) -> None:
    """Commit all there is at `root` and push it to the origin's trunk."""
    git(root, "add", "--all")
    git(root, "commit", "--message", message)
    git(root, "push", "origin", "HEAD:refs/heads/trunk")


@pytest.fixture
def commit() -> Callable[[Path, str], None]:
    """Commits and pushes."""
    return committed
