import fcntl
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from published_project import published_once
from tiny_project import call


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny project, refreshed and published once for all workers, its data set promoted and a detector trained."""
    return published_once(tmp_path_factory)


@pytest.fixture
def clean_clone(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone of the published project with a copy of its remote, as the current directory; it knows no MLflow."""
    root = tmp_path / "clone"
    call(published, "git", "clone", "--quiet", str(published), str(root))
    shutil.copytree(published / ".remote", root / ".remote")
    monkeypatch.chdir(root)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return root


@pytest.fixture
def beside_mlflow(clean_clone: Path, published: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same clone; it knows the MLflow of the published project, which other tests leave alone meanwhile."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{published / '.mlflow/mlflow.db'}")
    with (published.parent / "mlflow.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield clean_clone


@pytest.fixture
def stored(clean_clone: Path) -> Callable[[str], Path]:
    """Returns where the clone's remote keeps a digest, as a file that can be written."""

    def place(md5: str) -> Path:
        found = clean_clone / ".remote/files/md5" / md5[:2] / md5[2:]
        found.chmod(0o644)
        return found

    return place
