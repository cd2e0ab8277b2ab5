"""DVC's command line as a child process: the DVC of this environment, with its programs first on the PATH."""

import os
import subprocess
import sys
from pathlib import Path

from pipeline_tasks.errors import without_secrets


def start_dvc(root: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start `dvc ARGUMENTS` at `root` in a process group of its own; read its stdout, with its stderr, line by line."""
    command, environment = _command(arguments), _environment()
    return subprocess.Popen(
        command,
        cwd=root,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        process_group=0,
    )


def run_dvc(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `dvc ARGUMENTS` in the repository at `root` to its end; its stdout and stderr are kept apart."""
    command, environment = _command(arguments), _environment()
    return subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, errors="replace", check=False
    )


def errors_in(stderr: str) -> str:
    """Return the errors among what DVC wrote, without its hints, credentials or addresses' queries."""
    told = "; ".join(line for line in stderr.splitlines() if line.startswith("ERROR: ")) or stderr.strip()
    return without_secrets(told)


def _command(arguments: tuple[str, ...]) -> list[str]:
    """Wait for DVC's repository lock instead of giving up on it after 3 s: siblings hold it for moments."""
    return [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments]


def _environment() -> dict[str, str]:
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": programs, "PYTHONUNBUFFERED": "1"}
