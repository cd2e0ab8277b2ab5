import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest

REPOSITORY = Path(__file__).parents[1]


def make_tiny_pipeline(root: Path) -> Path:
    """Make a git and DVC repository with this project's DVC configuration, and a pipeline of its shape in shell."""
    shutil.copytree(REPOSITORY / "tests" / "tiny_pipeline", root, dirs_exist_ok=True)
    shutil.copy(REPOSITORY / "params.yaml", root)
    (root / ".dvc").mkdir()
    for name in ("config", ".gitignore"):
        shutil.copy(REPOSITORY / ".dvc" / name, root / ".dvc")
    (root / "raw" / "plate").mkdir(parents=True)
    (root / "raw" / "plate" / "1.txt").write_text("a sample")
    (root / "control").mkdir()
    (root / ".gitignore").write_text("/data/\n/control/\n/.remote/\n/.work/\n/.airflow/\n/.mlflow/\n")
    for command in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "--message", "Begin")):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *command], cwd=root, check=True)
    return root


@pytest.fixture(scope="session")
def make_pipeline() -> Callable[[Path], Path]:
    """Makes a tiny pipeline where it is told to."""
    return make_tiny_pipeline


@pytest.fixture
def tiny_pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A throwaway copy of the tiny pipeline, as the current directory."""
    root = make_tiny_pipeline(tmp_path / "tiny pipeline")
    monkeypatch.chdir(root)
    return root


@pytest.fixture(scope="session")
def refreshed_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny pipeline, run once."""
    root = make_tiny_pipeline(tmp_path_factory.mktemp("template") / "refreshed pipeline")
    subprocess.run([sys.executable, "-m", "dvc", "repro", "--quiet"], cwd=root, check=True)
    return root


@pytest.fixture
def refreshed(refreshed_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A throwaway copy of the tiny pipeline, every stage of it up to date, as the current directory."""
    root = shutil.copytree(refreshed_template, tmp_path / "refreshed pipeline")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def without_git_identity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine on which nobody has told git who they are."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.setenv("HOME", str(tmp_path))


class ProductFolder:
    """A product in the MVTec-AD layout, of small textured images, each with other bytes; sizes are (height, width)."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def image(self, name: str, size: tuple[int, int] = (24, 32)) -> Path:
        noise = np.random.default_rng([*name.encode()]).integers(90, 160, (*size, 3), dtype=np.uint8)
        return self.file(name, cv2.imencode(Path(name).suffix, noise)[1].tobytes())

    def mask(self, name: str, size: tuple[int, int] = (24, 32), *, empty: bool = False) -> Path:
        mask = np.zeros(size, np.uint8)
        mask[8:12, 10:20] = 0 if empty else 255
        return self.file(name, cv2.imencode(".png", mask)[1].tobytes())

    def good(self, count: int, split: str = "train") -> "ProductFolder":
        for index in range(count):
            self.image(f"{split}/good/{index:03d}.png")
        return self

    def defect(self, name: str, count: int) -> "ProductFolder":
        for index in range(count):
            self.image(f"test/{name}/{index:03d}.png")
            self.mask(f"ground_truth/{name}/{index:03d}_mask.png")
        return self

    def file(self, name: str, content: bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path


@pytest.fixture
def product_folder(tmp_path: Path) -> ProductFolder:
    """An empty product called plate."""
    return ProductFolder(tmp_path / "plate")


class Ran(NamedTuple):
    """How a command ended and what it printed."""

    status: int
    out: str
    err: str


@pytest.fixture
def defectline(
    defectline_here: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ran]:
    """Runs a command line of `defectline` in an otherwise empty folder that holds params.yaml."""
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return defectline_here


@pytest.fixture
def defectline_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs a command line of `defectline` in the current directory."""
    from pipeline_tasks.__main__ import main

    def run(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["defectline", *map(str, arguments)])
        try:
            main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        return Ran(status, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def folder_class() -> type[ProductFolder]:
    """The class of `product_folder`, for tests that need one per example."""
    return ProductFolder


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Networks this small gain nothing from more threads, and lose much where tests run side by side."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest tests first, so that no worker waits for one in the end."""
    longest = ("test_kills", "test_two_nodes", "test_tiny_refresh", "test_kubeflow_end_to_end")
    items.sort(key=lambda item: not any(name in item.nodeid for name in longest))
