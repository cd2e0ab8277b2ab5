"""`defectline ingest`: raw folder -> base and test samples, set-aside table, stored split."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline_tasks.commands.names import Name

if TYPE_CHECKING:
    from pipeline_tasks.schema import Sample, SetAside
    from pipeline_tasks.splits.membership import Member
    from pipeline_tasks.stages.ingest import Division, Survey

SHOWN = 20
"""Set-aside files named in the output; the table has them all."""


def ingest(
    product: Name,
    raw: Annotated[Path, typer.Option()],
    layout: Annotated[str, typer.Option()],
    base: Annotated[Path, typer.Option()],
    test: Annotated[Path, typer.Option()],
    set_aside: Annotated[Path, typer.Option()],
    split: Annotated[Path, typer.Option(help="the stored split: read where it is there, and completed")],
) -> None:
    """Read the raw samples of a product, set unusable files aside, split base from test."""
    from pipeline_tasks.errors import DataError, TransientError
    from pipeline_tasks.images.codec import read_file
    from pipeline_tasks.layouts import layout as layout_of
    from pipeline_tasks.params import load_params
    from pipeline_tasks.progress import track
    from pipeline_tasks.schema import GOOD, SetAside
    from pipeline_tasks.splits.membership import write_members
    from pipeline_tasks.stages import ingest as stage
    from pipeline_tasks.storage import write_rows

    params, source = load_params(), layout_of(layout)
    if not raw.is_dir():
        raise DataError(f"{raw}: no such folder; correct product '{product}' with `defectline catalog FOLDER`")
    known, read = _stored(split), partial(read_file, limits=params.ingest)
    withdrawn = {member.sha256: member.withdrawn for member in known if member.withdrawn}
    defects, files = source.defects(raw, product), source.read(raw, product, params.ingest)
    found = stage.survey(params.ingest, product, track(files, f"ingest {product}"), read, withdrawn)
    write_rows(set_aside, found.set_aside, SetAside)
    _print_refused(found.set_aside, set_aside)
    normals_only = not defects and product in {entry.product for entry in params.zero_shot}
    division = stage.divide(params.ingest, product, found, known, normals_only)
    samples = stage.run(params.ingest, product, found, division.sides, division.groups, read)
    counts = _write_samples(samples, {"base": base, "test": test}, [GOOD, *defects])
    if _stored(split) != known:
        raise TransientError(f"{split}: changed while product '{product}' was read; run ingest again")
    write_members(split, division.members)
    _print_account(product, found, division, counts)


def _stored(split: Path) -> "list[Member]":
    from pipeline_tasks.splits.membership import read_members

    return read_members(split) if split.exists() else []


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


def _print_refused(refused: "Sequence[SetAside]", table: Path) -> None:
    for row in refused[:SHOWN]:
        found = f"{row.found}; " if row.found else ""
        print(f"set aside: {row.source_path}: {row.reason}: {found}{row.remedy}")
    if len(refused) > SHOWN:
        print(f"set aside: {len(refused) - SHOWN} more, see {table}")


def _print_account(product: str, found: "Survey", division: "Division", counts: dict[tuple[str, str], int]) -> None:
    for note in division.notes:
        print(f"warning: {product}: {note}")
    alike = division.near_duplicates
    if alike.groups:
        shots = sum(map(len, alike.groups))
        print(
            f"{product}: {shots} images are near-duplicates, in groups that stay on one side: {len(alike.groups)}, of "
            f"which a split by name alone cuts {alike.crossing}"
        )
    print(f"{product}: {', '.join(f'{defect} {split} {n}' for (split, defect), n in counts.items())}")
    parts = {"samples": len(found.usable), "masks": found.masks, "set aside": len(found.set_aside)}
    print(f"{product}: {sum(parts.values())} files = {' + '.join(f'{n} {what}' for what, n in parts.items())}")
