"""Scores of detectors by content, in a folder: a killed run resumes with them, the next one repeats nothing."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_tasks.commands.work import work_folder

if TYPE_CHECKING:
    from pipeline_tasks.benefit.trainings import Arrays


@dataclass(frozen=True)
class FolderShelf:
    """`Shelf` of benefit/trainings.py; other code has another folder, since it may score otherwise."""

    folder: Path
    _used: set[Path] = field(default_factory=set)

    @classmethod
    def of(cls, stage: str, product: str) -> "FolderShelf":
        """Return the shelf of a stage's item."""
        return cls(work_folder(stage, product, [], []))

    def arrays(self, key: str, make: "Callable[[], Arrays]") -> "Arrays":
        """See Shelf."""
        import numpy as np

        from pipeline_tasks.storage import atomic_file

        path = self._use(f"{key}.npz")
        if not path.exists():
            made = make()
            with atomic_file(path) as partial, partial.open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **made)
        with np.load(path, allow_pickle=False) as kept:
            return dict(kept)

    def seconds(self, key: str, measure: Callable[[], float]) -> float:
        """See Shelf."""
        from pipeline_tasks.storage import read_json, write_json

        path = self._use(f"{key}.json")
        if not path.exists():
            write_json(path, measure())
        return float(read_json(path))

    def tidy(self) -> None:
        """Remove what this run did not ask for, and what other code has left; there may be nothing at all."""
        for path in self.folder.parent.glob("*"):
            if path != self.folder:
                shutil.rmtree(path)
        for path in set(self.folder.glob("*")) - self._used:
            path.unlink()

    def _use(self, name: str) -> Path:
        self._used.add(self.folder / name)
        return self.folder / name
