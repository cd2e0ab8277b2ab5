"""Hugging Face datasets: Parquet with the images in it, and the features in the schema, so that nothing is guessed."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from pipeline_tasks.exports.content import Content, Located
from pipeline_tasks.exports.folder import Folder
from pipeline_tasks.exports.libraries import library
from pipeline_tasks.schema import PIXEL_COLUMNS, Pair, arrow_schema
from pipeline_tasks.storage import BYTES_PER_GROUP, ROWS_PER_GROUP, bounded_groups

LIBRARY = "datasets"
SHARD_BYTES = 500_000_000
"""About the size of a file, as Hugging Face's own uploads have it."""
FENCE = "---\n"
CONFIGS = [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*.parquet"}]}]
READING = """\
Parquet files for Hugging Face's datasets, with every column of the pairs. `image` and `mask` are images, and so is
`normal`, which is there only where the generator made the normal image too. `defect` is text: lists of classes differ
between products and versions, and texts can be joined. For numbers: `data.class_encode_column("defect")`.

    from datasets import load_dataset
    data = load_dataset("THIS FOLDER", split="train")"""


def write(content: Content, folder: Folder) -> None:
    """Write the version as a data set of Hugging Face."""
    schema = _features().arrow_schema
    total = sum(content.count(*place) for place in content.class_names)
    shards = max(1, -(-content.size_bytes // SHARD_BYTES))
    pairs = content.pairs("export hf")
    for number in range(shards):
        name = f"data/train-{number:05d}-of-{shards:05d}.parquet"
        share = total * (number + 1) // shards - total * number // shards
        rows = islice(pairs, share if number < shards - 1 else None)
        with pq.ParquetWriter(folder.place(name), schema) as writer:
            for batch in _batches(rows, schema):
                writer.write_batch(batch)
        folder.seal(name)


def front_matter(card: str) -> str:
    """Return a data set card with what Hugging Face reads of it: where the data is, beside what it says already."""
    head, text = {}, card
    if card.startswith(FENCE):
        _, front, text = card.split(FENCE, 2)
        head = yaml.safe_load(front)
    front = yaml.safe_dump({**head, "configs": CONFIGS}, sort_keys=False, allow_unicode=True)
    return f"{FENCE}{front}{FENCE}{text}"


def _features() -> Any:
    """Return the features of all columns. The defect is text, no ClassLabel: see READING."""
    datasets = library(LIBRARY)
    features = datasets.Features.from_arrow_schema(arrow_schema(Pair))
    return datasets.Features({name: datasets.Image() if name in PIXEL_COLUMNS else f for name, f in features.items()})


def _batches(rows: Iterable[Located], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the rows in groups that memory holds."""
    for group in bounded_groups(rows, ROWS_PER_GROUP, BYTES_PER_GROUP, lambda at: len(at.pair.image)):
        yield pa.record_batch([pa.array(_column(field.name, group), field.type) for field in schema], schema=schema)


def _column(name: str, rows: Sequence[Located]) -> list[Any]:
    values = [getattr(at.pair, name) for at in rows]
    if name not in PIXEL_COLUMNS:
        return values
    named = zip(rows, values, strict=True)
    return [png and {"bytes": png, "path": f"{at.product}-{at.defect}-{at.number}.png"} for at, png in named]
