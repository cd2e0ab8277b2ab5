"""`defectline ingest`: raw folder -> base and test samples, set-aside table."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline_tasks.layouts.raw import RawSample


def ingest(
    product: Annotated[str, typer.Option()],
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
    from pipeline_tasks.schema import GOOD, Sample, SetAside
    from pipeline_tasks.stages import ingest as stage
    from pipeline_tasks.storage import atomic_folder, write_rows

    if not raw.is_dir():
        raise DataError(f"{raw}: no such folder; correct the path of product '{product}' with `defectline catalog FOLDER`")
    source = reader(layout)
    defects = source.defects(raw)
    rejects: list[SetAside] = []
    counts: dict[tuple[str, str], int] = {}

    def samples() -> Iterator[Sample]:
        files = list(source.read(raw))
        for row in stage.run(load_params().ingest, product, track(files, "ingest"), _file_bytes):
            if isinstance(row, SetAside):
                rejects.append(row)
            else:
                yield row

    try:
        with atomic_folder(base) as base_files, atomic_folder(test) as test_files:
            folders = {"base": base_files, "test": test_files}
            for (split, defect), rows in groupby(samples(), key=lambda s: (s.split, s.defect)):
                counts[split, defect] = write_rows(folders[split] / f"{defect}.parquet", rows, Sample)
            for split, defect in ((s, d) for s in folders for d in [GOOD, *defects] if (s, d) not in counts):
                write_rows(folders[split] / f"{defect}.parquet", [], Sample)
    finally:
        write_rows(set_aside, rejects, SetAside)
    summary = ", ".join(f"{defect} {split} {n}" for (split, defect), n in counts.items())
    print(f"{product}: {summary}; set aside {len(rejects)}")
    for row in rejects[:20]:
        print(f"set aside: {row.source_path}: {row.reason}: {row.detail}")


def _file_bytes(item: "RawSample") -> tuple[bytes, bytes | None]:
    return item.image.read_bytes(), item.mask.read_bytes() if item.mask else None
