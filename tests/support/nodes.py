"""Machines that share nothing but a git repository and a DVC remote: folders with a home, caches and a clone each."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tiny_project import REPOSITORY, call


@dataclass
class Node:
    """One machine below the folder `place`, which reaches the repository and the remote by these URLs."""

    place: Path
    repository: str
    remote: str
    settings: dict[str, str] = field(default_factory=dict)
    """Environment beside that, credentials for instance."""

    @property
    def checkout(self) -> Path:
        """Where its clone is."""
        return self.place / "checkout"

    def start(self, revision: str, *command: str) -> "subprocess.Popen[str]":
        """Start a command of defectline on the node, in a process group of its own."""
        self.place.mkdir(parents=True, exist_ok=True)
        arguments = ["-P", "-m", "pipeline_tasks", "node", self.repository, revision, "--", *command]
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.place,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )

    def run(self, revision: str, *command: str) -> str:
        """Run a command on the node, which must succeed, and return what it said."""
        with self.start(revision, *command) as process:
            said, _ = process.communicate()
        assert process.returncode == 0, said
        return said

    def lose(self) -> None:
        """Lose all that the node has kept."""
        shutil.rmtree(self.place)

    def _environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        kept = {name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")}
        own = {"HOME": str(self.place), "DVC_SITE_CACHE_DIR": str(self.place / "site"), "PYTHONPATH": str(REPOSITORY)}
        own |= {"DEFECTLINE_COPY_SECONDS": "0.1"}
        return {**kept, **own, "PATH": path, "DEFECTLINE_REMOTE": self.remote, **self.settings}


def kill(process: "subprocess.Popen[str]") -> None:
    """Kill a process and all it started at once, as a power cut does."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for group in (*children, process.pid):
        os.killpg(int(group), signal.SIGKILL)
    process.wait()


def git(root: Path, *arguments: str) -> None:
    """Run git at `root` as somebody, silently; it must succeed."""
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments]
    subprocess.run(command, cwd=root, check=True, capture_output=True)


def make_origin(place: Path, project: Path) -> str:
    """Make a bare repository of what a project has committed, its branch called `trunk`, and return its URL."""
    call(project, "git", "branch", "--move", "trunk")
    call(place, "git", "clone", "--quiet", "--bare", str(project), str(place / "origin.git"))
    call(project, "git", "remote", "add", "origin", f"file://{place / 'origin.git'}")
    return f"file://{place / 'origin.git'}"
