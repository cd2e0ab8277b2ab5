"""`defectline generate --only`: the same pairs once more, a few of them, in a table of their own."""

from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline_tasks.schema import MaskRow, Pair


def remake(
    masks: Path,
    only: Collection[int],
    block_pairs: int,
    pairs: Path,
    make: "Callable[[Sequence[MaskRow], Collection[int]], Iterable[Pair]]",
) -> None:
    """Write the pairs of the pair indices `only`, as `make` makes them of the rows of their blocks, into `pairs`.

    Raises DataError for an index without a mask row, and rather than add to tables that are there or replace them.
    """
    from pipeline_tasks.backends.pairs import block_of
    from pipeline_tasks.errors import DataError
    from pipeline_tasks.manifest import read_selected
    from pipeline_tasks.schema import MaskRow, Pair
    from pipeline_tasks.storage import write_rows

    if any(pairs.glob("**/*.parquet")):
        raise DataError(f"{pairs}: there are tables in it, which --only would mix with its own; name an empty folder")
    blocks = {index for asked in only for index in block_of(asked, block_pairs)}
    rows = list(read_selected([masks], MaskRow, "pair_index", blocks))
    if lacking := sorted({*only} - {row.pair_index for row in rows}):
        raise DataError(f"--only {lacking[0]}: {masks} has no row with this pair_index; name one that it has")
    write_rows(pairs / "00000.parquet", make(rows, only), Pair)
