"""A product's pairs without pixels, gathered in one file, of which rules read the columns and rows that they need."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline_tasks.manifest import gather
from pipeline_tasks.quality.rule import Filter
from pipeline_tasks.schema import PIXEL_COLUMNS, Pair, arrow_schema


class PairTable:
    """The table of pairs in a Parquet file; memory holds what is read at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, shards: Iterable[Path], path: Path) -> "PairTable":
        """Gather the rows of all `shards`, in their order, in the new file `path`. The errors of `open_table`."""
        gather(shards, Pair, path)
        return cls(path)

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns that there are."""
        return pq.read_schema(self.path)

    @cached_property
    def number(self) -> int:
        """How many pairs there are."""
        return int(pq.read_metadata(self.path).num_rows)

    def read(self, columns: Sequence[str], filters: Sequence[Filter] = ()) -> pa.Table:
        """Return those of `columns` that there are, of the rows that pass `filters`, in their order."""
        known = [column for column in columns if column in self.schema.names]
        return pq.read_table(self.path, columns=known, filters=[*filters] or None)

    def count(self, by: str, filters: Sequence[Filter] = ()) -> dict[str, int]:
        """Return the number of rows that pass `filters` by the values of the column `by`."""
        values = pc.value_counts(self.read([by], filters)[by].combine_chunks())
        return {entry["values"]: entry["counts"] for entry in values.to_pylist()}

    def columns(self) -> pd.DataFrame:
        """Return a row per column: the types `found` and `declared`, '' = none, and how many values are `lacking`."""
        declared = {field.name: field for field in arrow_schema(Pair) if field.name not in PIXEL_COLUMNS}
        found = {field.name: field for field in self.schema}
        rows = [
            {
                "column": name,
                "found": _type(found.get(name)),
                "declared": _type(declared.get(name)),
                "lacking": 0 if name in declared and declared[name].nullable else self._lacking(name),
            }
            for name in dict.fromkeys([*declared, *found])
        ]
        return pd.DataFrame(rows)

    def _lacking(self, column: str) -> int:
        """Return the number of nulls and NaNs in a column, 0 if it is not there."""
        values = self.read([column]).columns
        return sum(chunk.true_count for one in values for chunk in pc.is_null(one, nan_is_null=True).chunks)


def _type(field: pa.Field | None) -> str:
    """Return a column's type in words; Parquet renames the elements of lists."""
    if field is None:
        return ""
    return f"list of {field.type.value_type}" if pa.types.is_list(field.type) else str(field.type)
