"""What stages on different nodes tell each other in a run: their entries of dvc.lock, on DVC's remote.

DVC's run-cache says what a stage made of given inputs, but not which inputs a run has: a node whose dvc.lock is that of
git would take yesterday's, or make them again. So each stage hands its entry over when its data are pushed, and takes
those of the stages before it, or refuses.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_tasks.errors import DataError, TransientError
from pipeline_tasks.lineage.files import SPLITS, replace_text
from pipeline_tasks.lineage.git import answer
from pipeline_tasks.lineage.lock_file import outputs_of, parsed, read_entries, write_entries
from pipeline_tasks.lineage.remote import RemoteFolder

RUNS = "runs"
KEPT_DAYS = 30
"""How long what a run handed over is kept: as long as anybody may go on with it."""


@dataclass(frozen=True)
class Handoff:
    """The entries of one run in the repository at `root`, in the folder `name` among those of all `runs`."""

    root: Path
    runs: RemoteFolder
    name: str

    @classmethod
    def of(cls, root: Path, remote: RemoteFolder, run: str) -> "Handoff":
        """Return that of the run that a scheduler calls `run`, at the revision that is checked out."""
        revision = answer(root, "rev-parse", "HEAD") or ""
        return cls(root, remote.below(RUNS), hashlib.sha256(f"{revision}\0{run}".encode()).hexdigest()[:16])

    @property
    def folder(self) -> RemoteFolder:
        """Where the entries are."""
        return self.runs.below(self.name)

    def take(self, stages: Iterable[str], beside: Iterable[str] | None = None) -> None:
        """Take over what these stages made: their entries into dvc.lock, and the files among their outputs that git
        keeps. beside: whose entries stay in dvc.lock beside these; None: all.

        Raises DataError naming the first stage that has handed over nothing; then nothing is taken.
        """
        told = {stage: self._told(stage) for stage in stages}
        there = read_entries(self.root)
        for _, files in told.values():
            for path, text in files.items():
                self._put(path, text)
        kept = there if beside is None else {stage: there[stage] for stage in beside if stage in there}
        if there != (now := kept | {stage: entry for stage, (entry, _) in told.items()}):
            write_entries(self.root, now)

    def give(self, stage: str) -> None:
        """Hand over the entry of a stage that is done, and the files among its outputs that git keeps.

        What another node has handed over for the same inputs stays, and is taken: stages after it may have read it.
        """
        entry, name = read_entries(self.root)[stage], _file(stage)
        earlier = self.folder.read(name)
        if earlier is not None and _question(json.loads(earlier)["entry"]) == _question(entry):
            self.take([stage])
            return
        files = {path: (self.root / path).read_text() for path in outputs_of(entry) if _is_gits(path)}
        self.folder.write(name, json.dumps({"entry": entry, "files": files}))

    def forget_old(self) -> None:
        """Remove what was handed over in any run more than KEPT_DAYS ago; what cannot be removed is told of."""
        try:
            for name in self.runs.older_than(KEPT_DAYS):
                self.runs.remove(name)
        except TransientError as error:
            print(f"old hand-overs were not removed: {error}", flush=True)

    def _told(self, stage: str) -> tuple[str, Mapping[str, str]]:
        text = self.folder.read(_file(stage))
        if text is None:
            raise DataError(
                f"stage '{stage}' has handed over nothing in this run, and what it made before may be something else; "
                "run it first, with the same --run and revision"
            )
        told = json.loads(text)
        return told["entry"], told["files"]

    def _put(self, path: str, text: str) -> None:
        """Write a file that git keeps. Raises DataError for one outside of the folder of such files."""
        target = self.root / path
        if not _is_gits(path) or not target.resolve().is_relative_to((self.root / SPLITS).resolve()):
            raise DataError(f"DVC remote '{self.folder.remote}': a hand-over names '{path}', which git does not keep")
        replace_text(target, text)


def _file(stage: str) -> str:
    return f"{stage}.json"


def _question(entry: str) -> Any:
    """Return what decides a stage's outputs."""
    return {key: value for key, value in parsed(entry).items() if key != "outs"}


def _is_gits(path: str) -> bool:
    """Tell whether git keeps an output, and not DVC, as dvc.yaml has it."""
    return Path(path).parts[0] == SPLITS
