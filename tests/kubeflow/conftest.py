import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
BIN = REPOSITORY / ".venv-kubeflow" / "bin"
OPTIONS = {
    "--image-cpu": "registry.example.org/defectline-cpu:1",
    "--image-gpu": "registry.example.org/defectline-gpu:1",
    "--remote": "s3://bucket/dvc",
    "--repository": "https://git.example.org/defects.git",
}


@pytest.fixture(scope="session")
def with_kfp() -> Callable[..., str]:
    """Runs a command of the environment that has kfp in `folder`; it must succeed. Returns what it printed."""
    if not (BIN / "defectline").exists():
        pytest.skip("kfp's environment is not there: `make .venv-kubeflow/installed`")

    def run(folder: Path, command: str, *arguments: object, **variables: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **variables}
        done = subprocess.run(
            [BIN / command, *map(str, arguments)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def compile_graph(with_kfp) -> Callable[..., str]:
    """Compiles the graph of the repository at `root` to `out`; returns what the command printed."""

    def compile_to(root: Path, out: Path, *more: str, **options: str) -> str:
        given = OPTIONS | {f"--{name.replace('_', '-')}": value for name, value in options.items()}
        pairs = [part for pair in given.items() for part in pair]
        return with_kfp(root, "defectline", "kubeflow", "compile", out, *pairs, *more)

    return compile_to


@pytest.fixture(scope="session")
def run_locally(with_kfp) -> Callable[..., str]:
    """Runs a compiled pipeline in `folder`, with the `defectline` that lies in `bin` or else this environment's."""

    def run(folder: Path, pipeline: Path, bin: Path = Path(sys.executable).parent, **parameters: str) -> str:
        folder.mkdir()
        own = {
            "HOME": str(folder),
            "DVC_SITE_CACHE_DIR": str(folder.with_name("site")),
            "PATH": os.pathsep.join([str(bin), os.environ["PATH"]]),
        }
        script = Path(__file__).with_name("run_pipeline.py")
        return with_kfp(folder, "python", script, pipeline, json.dumps(parameters), **own)

    return run
