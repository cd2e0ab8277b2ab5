"""How long stages take, told from what DVC says as it runs them."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline_tasks.storage import read_json, write_json

BEGUN = re.compile(r"Running stage '(.+)':")
"""What DVC says as it begins a stage."""
_ENDED = re.compile(r"(Updating|Generating) lock file |Stage '.+' |Data and pipelines are up to date|Use `dvc push` ")
"""What it says when the outputs are stored, or of a stage that need not run."""


@dataclass
class Stopwatch:
    """Seconds by stage, kept in a file under the `key` of what they belong to; None of a stage that was resumed.

    A stage that a killed run has begun does only the rest of its work when it is run again, so that its time is none.
    kept: 'stages', and whether all of them have been run to the end, 'complete'.
    """

    path: Path
    key: str
    clock: Callable[[], float] = time.monotonic
    kept: dict[str, Any] = field(default_factory=lambda: {"complete": False, "stages": {}})
    _running: tuple[str, float] | None = None

    @classmethod
    def of(cls, path: Path, key: str) -> "Stopwatch":
        """Return the watch that `path` keeps under `key`, or a new one."""
        watch = cls(path, key)
        watch.kept = _read(path).get(key, watch.kept)
        return watch

    @property
    def complete(self) -> bool:
        """Whether `done` was called since the file was begun."""
        return bool(self.kept["complete"])

    @property
    def seconds(self) -> dict[str, float | None]:
        """Of each stage that has run to its end."""
        stages = self.kept["stages"]
        return {stage: its["seconds"] for stage, its in stages.items() if not its["begun"]}

    def hear(self, line: str) -> None:
        """Take note of a line that DVC says."""
        begun = BEGUN.match(line)
        if self._running and (begun or _ENDED.match(line)):
            stage, since = self._running
            resumed = self.kept["stages"][stage]["resumed"]
            self._note(stage, begun=False, resumed=resumed, seconds=None if resumed else round(self.clock() - since, 2))
            self._running = None
        if begun:
            before = self.kept["stages"].get(begun[1], {"begun": False})
            self._note(begun[1], begun=True, resumed=before["begun"], seconds=None)
            self._running = begun[1], self.clock()

    def done(self) -> None:
        """Take note that every stage has run."""
        self.kept["complete"] = True
        self._write()

    def _note(self, stage: str, **what: Any) -> None:
        self.kept["stages"][stage] = what
        self._write()

    def _write(self) -> None:
        write_json(self.path, _read(self.path) | {self.key: self.kept})


def _read(path: Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}
