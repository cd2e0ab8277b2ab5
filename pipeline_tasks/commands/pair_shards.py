"""Shards of a defect's pairs, tables of consecutive mask rows: made one by one, here or in parts, never twice."""

import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pipeline_tasks.schema import MaskRow, Pair, Rejected

CARD = "part.json"
"""Beside the shards of a part: which run made them. A part without shards has this alone."""


@dataclass(frozen=True)
class Shards:
    """The shards of a defect in `folder`: number n holds the pairs of `size` mask rows from pair index n x `size` on.

    make: makes the pairs of a shard's rows, as many as are wanted. made_elsewhere: the folders of other finished ones,
    by the name of their tables.
    """

    folder: Path
    masks: Path
    size: int
    make: "Callable[[list[MaskRow], int], Iterable[Pair | Rejected]]"
    made_elsewhere: Mapping[str, Path] = field(default_factory=dict)

    def begin(self) -> None:
        """Make the folder; what a killed run has left half written in it goes."""
        from pipeline_tasks.storage import PARTIAL

        self.folder.mkdir(parents=True, exist_ok=True)
        for unfinished in self.folder.rglob(f"*{PARTIAL}"):
            unfinished.unlink()

    def make_whole(self, numbers: Collection[int], label: str) -> None:
        """Make the shards of these numbers, of all their rows, but for those that are finished."""
        from pipeline_tasks.progress import track

        with track(range(len(numbers) * self.size), label) as bar:
            for number, name, rows in self._numbered():
                if number in numbers and not self._place(name):
                    self._write(name, [*rows], self.size, bar.update)

    def fill(self, asked: int, label: str) -> None:
        """Make shard after shard, but for those that are finished, until there are as many pairs as were asked for."""
        from pipeline_tasks.progress import track
        from pipeline_tasks.schema import Pair
        from pipeline_tasks.storage import open_table

        kept = 0
        with track(range(asked), label) as bar:
            for _, name, rows in self._numbered():
                if place := self._place(name):
                    kept += open_table(place / name, Pair).metadata.num_rows
                else:
                    kept += self._write(name, [*rows], asked - kept, bar.update)
                bar.update(kept - bar.n)
                if kept == asked:
                    return

    def gather(self) -> None:
        """Copy the shards that were made elsewhere into the folder."""
        from pipeline_tasks.schema import REJECTED
        from pipeline_tasks.storage import atomic_file

        for name, place in self.made_elsewhere.items():
            for table in (name, f"{REJECTED}/{name}"):  # that of the rejected is the last: a shard with it is finished
                with atomic_file(self.folder / table) as partial:
                    shutil.copyfile(place / table, partial)

    def _numbered(self) -> "Iterator[tuple[int, str, Iterable[MaskRow]]]":
        """Yield number, name and rows of every shard."""
        from pipeline_tasks.schema import MaskRow
        from pipeline_tasks.storage import read_rows

        for number, rows in groupby(read_rows(self.masks, MaskRow), key=lambda row: row.pair_index // self.size):
            yield number, f"{number:05d}.parquet", rows

    def _place(self, name: str) -> Path | None:
        """Return the folder that holds a shard, finished; None if it is to be made."""
        from pipeline_tasks.schema import REJECTED

        tables = (self.folder / name, self.folder / REJECTED / name)  # copies from another node may lack one
        return self.folder if all(table.exists() for table in tables) else self.made_elsewhere.get(name)

    def _write(self, name: str, rows: "list[MaskRow]", wanted: int, advance: "Callable[[], object]") -> int:
        """Make a shard and return the number of its pairs."""
        from pipeline_tasks.schema import REJECTED, Pair, Rejected
        from pipeline_tasks.storage import write_rows

        rejected: list[Rejected] = []
        kept = write_rows(self.folder / name, _kept(self.make(rows, wanted), rejected, advance), Pair)
        write_rows(self.folder / REJECTED / name, rejected, Rejected)
        return kept


def _kept(
    results: "Iterable[Pair | Rejected]", rejected: "list[Rejected]", advance: "Callable[[], object]"
) -> "Iterator[Pair]":
    from pipeline_tasks.schema import Pair

    for result in results:
        if isinstance(result, Pair):
            advance()
            yield result
        else:
            rejected.append(result)


def made_in_parts(parts: Path, run_id: str) -> dict[str, Path]:
    """Return the folders of the shards that the parts in the folder `parts` hold of this run, by their tables' names.

    A part of another run, of other code for example, is told of and left out: its pairs name that run, and may differ
    from those that are made here. Raises DataError for one whose CARD is no JSON.
    """
    from pipeline_tasks.schema import REJECTED
    from pipeline_tasks.storage import read_json

    found: dict[str, Path] = {}
    for card in sorted(parts.glob(f"[!.]*/{CARD}")):
        if (run := read_json(card)["run_id"]) == run_id:
            found |= {finished.name: card.parent for finished in sorted((card.parent / REJECTED).glob("*.parquet"))}
        else:
            print(f"warning: {card.parent} is of another run ({run[:12]}, not {run_id[:12]}): its shards are made anew")
    return found
