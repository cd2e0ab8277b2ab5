"""What stages on different nodes tell each other in a run: their entries of dvc.lock, on DVC's remote.

DVC's run-cache says what a stage made of given inputs, but not which inputs a run has: a node whose dvc.lock is that of
git would take yesterday's, or make them again. So each stage hands its entry over when its data are pushed, and takes
those of the stages before it, or refuses.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline_tasks.errors import DataError, TransientError
from pipeline_tasks.lineage.files import SPLITS, replace_text
from pipeline_tasks.lineage.git import answer
from pipeline_tasks.lineage.remote import RemoteFolder

RUNS = "runs"
KEPT_DAYS = 30
"""How long what a run handed over is kept: as long as anybody may go on with it."""
LOCK = "dvc.lock"


@dataclass(frozen=True)
class Handoff:
    """The entries of one run in the repository at `root`."""

    root: Path
    folder: RemoteFolder

    @classmethod
    def of(cls, root: Path, remote: RemoteFolder, run: str) -> "Handoff":
        """Return that of the run that a scheduler calls `run`, at the revision that is checked out."""
        revision = answer(root, "rev-parse", "HEAD") or ""
        name = hashlib.sha256(f"{revision}\0{run}".encode()).hexdigest()[:16]
        return cls(root, remote.below(RUNS, name))

    def take(self, stages: Iterable[str]) -> None:
        """Take over what these stages made: their entries into dvc.lock, and the files among their outputs that git
        keeps.

        Raises DataError naming the first stage that has handed over nothing; then nothing is taken.
        """
        told = {stage: self._told(stage) for stage in stages}
        for _, files in told.values():
            for path, text in files.items():
                self._put(path, text)
        self._enter({stage: entry for stage, (entry, _) in told.items()})

    def give(self, stage: str) -> None:
        """Hand over the entry of a stage that is done, and the files among its outputs that git keeps.

        What another node has handed over for the same inputs stays, and is taken: stages after it may have read it.
        """
        entry = read_lock_file(self.root)["stages"][stage]
        earlier = self.folder.read(self._name(stage))
        if earlier is not None and _question(_parse(earlier)["entry"]) == _question(entry):
            self.take([stage])
            return
        kept = [out["path"] for out in entry.get("outs", []) if _is_gits(out["path"])]
        files = {path: (self.root / path).read_text() for path in kept}
        self.folder.write(self._name(stage), _dump({"entry": entry, "files": files}))

    def forget_old(self) -> None:
        """Remove what was handed over in any run more than KEPT_DAYS ago; what cannot be removed is told of."""
        runs = replace(self.folder, path=self.folder.fs.parent(self.folder.path))
        try:
            for name in runs.older_than(KEPT_DAYS):
                runs.remove(name)
        except TransientError as error:
            print(f"old hand-overs were not removed: {error}", flush=True)

    def _enter(self, entries: Mapping[str, Any]) -> None:
        """Make entries those of dvc.lock, which is written only if they are not."""
        lock = read_lock_file(self.root)
        if any(lock["stages"].get(stage) != entry for stage, entry in entries.items()):
            lock["stages"].update(entries)
            replace_text(self.root / LOCK, _dump(lock))

    def _name(self, stage: str) -> str:
        return f"{stage}.yaml"

    def _told(self, stage: str) -> tuple[Any, Mapping[str, str]]:
        text = self.folder.read(self._name(stage))
        if text is None:
            raise DataError(
                f"stage '{stage}' has handed over nothing in this run, and what it made before may be something else; "
                "run it first, with the same --run and revision"
            )
        told = _parse(text)
        return told["entry"], told["files"]

    def _put(self, path: str, text: str) -> None:
        """Write a file that git keeps. Raises DataError for one outside of the folder of such files."""
        target = self.root / path
        if not _is_gits(path) or not target.resolve().is_relative_to((self.root / SPLITS).resolve()):
            raise DataError(f"DVC remote '{self.folder.remote}': a hand-over names '{path}', which git does not keep")
        replace_text(target, text)


def read_lock_file(root: Path) -> Any:
    """Return dvc.lock as it can be written again; without any entry if there is none."""
    path = root / LOCK
    return _parse(path.read_text()) if path.exists() else {"schema": "2.0", "stages": {}}


def outputs_in(lock: Mapping[str, Any], stage: str) -> dict[str, str]:
    """Return DVC's MD5s of a stage's outputs in a dvc.lock, by path; none if it does not have the stage."""
    return {out["path"]: out["md5"] for out in lock["stages"].get(stage, {}).get("outs", [])}


def _question(entry: Mapping[str, Any]) -> Any:
    """Return what decides a stage's outputs."""
    return {key: value for key, value in entry.items() if key != "outs"}


def _is_gits(path: str) -> bool:
    """Tell whether git keeps an output, and not DVC, as dvc.yaml has it."""
    return Path(path).parts[0] == SPLITS


def _parse(text: str) -> Any:
    from dvc.utils.serialize import parse_yaml_for_update

    return parse_yaml_for_update(text, LOCK)


def _dump(value: Any) -> str:
    from dvc.utils.serialize import dumps_yaml

    return str(dumps_yaml(value))
