"""`defectline ingest`: raw folder -> base and test samples, set-aside table."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline_tasks.commands.names import Name

if TYPE_CHECKING:
    from pipeline_tasks.schema import Sample, SetAside

SHOWN = 20
"""Set-aside files named in the output; the table has them all."""


def ingest(
    product: Name,
    raw: Annotated[Path, typer.Option()],
    layout: Annotated[str, typer.Option()],
    base: Annotated[Path, typer.Option()],
    test: Annotated[Path, typer.Option()],
    set_aside: Annotated[Path, typer.Option()],
) -> None:
    """Read the raw samples of a product, set unusable files aside, split base from test."""
    from pipeline_tasks.errors import DataError
    from pipeline_tasks.layouts import reader
    from pipeline_tasks.params import load_params
    from pipeline_tasks.progress import track
    from pipeline_tasks.schema import GOOD, SetAside
    from pipeline_tasks.stages import ingest as stage
    from pipeline_tasks.storage import write_rows

    params, source = load_params(), reader(layout)
    if not raw.is_dir():
        raise DataError(f"{raw}: no such folder; correct product '{product}' with `defectline catalog FOLDER`")
    defects, files = source.defects(raw), track(list(source.read(raw)), f"ingest {product}")
    normals_only = not defects and product in {entry.product for entry in params.zero_shot}
    refused: list[SetAside] = []
    samples = _without_refused(stage.run(params.ingest, product, files, Path.read_bytes, normals_only), refused)
    try:
        counts = _write_samples(samples, {"base": base, "test": test}, [GOOD, *defects])
    finally:
        write_rows(set_aside, refused, SetAside)
        _print_refused(refused, set_aside)
    print(f"{product}: {', '.join(f'{d} {split} {n}' for (split, d), n in counts.items())}; set aside {len(refused)}")


def _without_refused(rows: "Iterable[Sample | SetAside]", refused: "list[SetAside]") -> "Iterator[Sample]":
    from pipeline_tasks.schema import Sample

    for row in rows:
        if isinstance(row, Sample):
            yield row
        else:
            refused.append(row)


def _write_samples(
    samples: "Iterator[Sample]", folders: dict[str, Path], defects: list[str]
) -> dict[tuple[str, str], int]:
    """Write one table per split and defect, an empty one where there are no samples; return the tables' lengths."""
    from pipeline_tasks.schema import Sample
    from pipeline_tasks.storage import atomic_folder, write_rows

    counts = {}
    with atomic_folder(folders["base"]) as base, atomic_folder(folders["test"]) as test:
        fresh = {"base": base, "test": test}
        for (split, defect), rows in groupby(samples, key=lambda s: (s.split, s.defect)):
            counts[split, defect] = write_rows(fresh[split] / f"{defect}.parquet", rows, Sample)
        for split, defect in ((s, d) for s in fresh for d in defects if (s, d) not in counts):
            write_rows(fresh[split] / f"{defect}.parquet", [], Sample)
    return counts


def _print_refused(refused: "list[SetAside]", table: Path) -> None:
    for row in refused[:SHOWN]:
        print(f"set aside: {row.source_path}: {row.reason}: {row.detail}")
    if len(refused) > SHOWN:
        print(f"set aside: {len(refused) - SHOWN} more, see {table}")
