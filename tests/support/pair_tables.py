"""A product's pairs without pixels, as the quality gate reads them, sound as they stand."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import rows
from settings import settings

from pipeline_tasks.quality.expected import Expected
from pipeline_tasks.quality.pair_table import PairTable
from pipeline_tasks.schema import GOOD, PIXEL_COLUMNS, Pair, Sample, arrow_schema

DEFECTS = ["pit", "scratch"]
ASKED = 6
COLUMNS = pa.schema([field for field in arrow_schema(Pair) if field.name not in PIXEL_COLUMNS])


def samples(split: str) -> list[Sample]:
    """Return four samples of each defect and four normal ones."""
    return [rows.sample(defect, index, split) for defect in [GOOD, *DEFECTS] for index in range(4)]


def pair(defect: str, index: int, **values: Any) -> Pair:
    """Return a sound pair; the normal images take turns."""
    normal = rows.sample(GOOD, index % 4)
    host = {"normal_path": normal.source_path, "normal_sha256": normal.sha256}
    return rows.pair(defect, index, **host | values)


def expected(**values: Any) -> Expected:
    """Return what the pairs are measured against."""
    params = settings()
    product = {
        "product": "plate",
        "defects": DEFECTS,
        "base": manifest(samples("base")),
        "test": manifest(samples("test")),
        "asked": ASKED,
        "keep": params.generate.keep,
        "placement_spread": params.masks.placement_spread,
    }
    return Expected(**product | values)


def manifest(samples: Iterable[Sample]) -> pd.DataFrame:
    """Return the samples' table without pixels."""
    columns = [name for name in arrow_schema(Sample).names if name not in PIXEL_COLUMNS]
    return pd.DataFrame([[getattr(sample, name) for name in columns] for sample in samples], columns=columns)


def frame(pairs: Iterable[Pair]) -> pd.DataFrame:
    """Return the pairs' table without pixels, to be spoilt."""
    values = [{name: getattr(pair, name) for name in COLUMNS.names} for pair in pairs]
    return pa.Table.from_pylist(values, COLUMNS).to_pandas(types_mapper=pd.ArrowDtype)


def sound() -> pd.DataFrame:
    """Return the pairs of a product that meets every expectation."""
    return frame(pair(defect, index) for defect in DEFECTS for index in range(ASKED))


def stored(pairs: pd.DataFrame, path: Path) -> PairTable:
    """Write `pairs` to `path` as they are, sound or not."""
    declared = [COLUMNS.field(name).with_nullable(True) for name in pairs.columns if name in COLUMNS.names]
    others = pa.Schema.from_pandas(pairs.drop(columns=[field.name for field in declared]), preserve_index=False)
    table = pa.Table.from_pandas(pairs, pa.schema([*declared, *others]), preserve_index=False)
    pq.write_table(table.replace_schema_metadata(None), path)
    return PairTable(path)
