"""`defectline generate`: masks and normal images -> shards of pairs."""

import shutil
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline_tasks.commands.names import Name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pipeline_tasks.schema import Pair, Rejected, Sample

REJECTED = "rejected"
"""Folder beside the shards, with a table per shard of what was rejected; it is written last."""


def generate(
    product: Name,
    defect: Name,
    source: Name,
    masks: Annotated[Path, typer.Option()],
    samples: Annotated[Path, typer.Option()],
    normals: Annotated[Path, typer.Option()],
    prompts: Annotated[Path, typer.Option()],
    pretrained: Annotated[Path, typer.Option()],
    model: Annotated[Path, typer.Option()],
    pairs: Annotated[Path, typer.Option()],
) -> None:
    """Generate the pairs of one defect; a killed run resumes after its last finished shard."""
    import torch

    from pipeline_tasks.backends import load_backend
    from pipeline_tasks.backends.protocol import Graded
    from pipeline_tasks.commands.work import work_folder
    from pipeline_tasks.params import load_params
    from pipeline_tasks.progress import track
    from pipeline_tasks.prompts import read_prompts
    from pipeline_tasks.schema import STRENGTH, MaskRow, Pair, Rejected, StrengthTrial
    from pipeline_tasks.stages import generate as stage
    from pipeline_tasks.storage import PARTIAL, open_table, read_rows, replace_folder, write_rows

    params = load_params()
    torch.set_num_threads(params.generate.threads)
    inputs = [masks, samples, normals, prompts, pretrained, model]
    work = work_folder("generate", f"{product}-{defect}", inputs, [params.run, params.backend, params.generate])
    work.mkdir(parents=True, exist_ok=True)
    for unfinished in work.rglob(f"*{PARTIAL}"):
        unfinished.unlink()
    backend = load_backend(params, model, pretrained)
    book = read_prompts(prompts).borrow(product, defect, source)
    given = partial(_by_path, samples), partial(_by_path, normals), book
    total = open_table(masks, MaskRow).metadata.num_rows
    numbered = groupby(read_rows(masks, MaskRow), key=lambda row: row.pair_index // params.generate.shard_pairs)
    with track(range(total), f"generate {product} {defect}") as bar:
        for number, rows in numbered:
            shard, finished = list(rows), work / REJECTED / f"{number:05d}.parquet"
            if finished.exists():
                bar.update(len(shard))
                continue
            rejected: list[Rejected] = []
            made = _accepted(stage.run(params.generate, backend, shard, *given), rejected, bar.update)
            write_rows(work / f"{number:05d}.parquet", made, Pair)
            write_rows(finished, rejected, Rejected)
    tried = work / STRENGTH / "00000.parquet"
    if isinstance(backend, Graded) and not tried.exists():
        rows_tried = list(islice(read_rows(masks, MaskRow), params.generate.dit.trials))
        write_rows(tried, stage.try_strengths(backend, rows_tried, *given), StrengthTrial)
    replace_folder(work, pairs)
    shutil.rmtree(work.parent, ignore_errors=True)
    _tell(f"{product} {defect}", backend.name, pairs, params.generate.min_alignment)


def _tell(what: str, backend: str, pairs: Path, least: float) -> None:
    """Print how many pairs there are, and what became of the others."""
    from pipeline_tasks.schema import Pair, Rejected

    attempts, lost = _attempts(pairs, Pair), _attempts(pairs / REJECTED, Rejected)
    print(f"{what}: {len(attempts)} pairs by {backend}, {sum(number > 1 for number in attempts)} of them made again")
    if lost:
        print(f"{what}: {len(lost)} rejected after {max(lost)} attempts (alignment below {least:g})")


def _accepted(
    results: "Iterable[Pair | Rejected]", rejected: "list[Rejected]", advance: "Callable[[], object]"
) -> "Iterator[Pair]":
    from pipeline_tasks.schema import Pair

    for result in results:
        advance()
        if isinstance(result, Pair):
            yield result
        else:
            rejected.append(result)


def _attempts(folder: Path, row: type) -> list[int]:
    from pipeline_tasks.manifest import read_manifest

    attempts: list[int] = read_manifest(sorted(folder.glob("*.parquet")), row)["attempts"].to_pylist()
    return attempts


def _by_path(table: Path, paths: set[str]) -> "Mapping[str, Sample]":
    from pipeline_tasks.manifest import read_selected
    from pipeline_tasks.schema import Sample

    return {sample.source_path: sample for sample in read_selected([table], Sample, "source_path", paths)}
