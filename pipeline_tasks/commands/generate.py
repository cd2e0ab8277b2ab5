"""`defectline generate`: masks and normal images -> shards of pairs."""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline_tasks.commands.names import Name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pipeline_tasks.schema import MaskRow, Pair, Rejected, Sample


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
    only: Annotated[
        list[int] | None, typer.Option(help="make just the pair with this pair_index again, or these; --pairs is new")
    ] = None,
) -> None:
    """Generate as many pairs of one defect as are asked for; a killed run resumes after its last finished shard."""
    import torch

    from pipeline_tasks.backends import load_backend
    from pipeline_tasks.backends.protocol import Graded
    from pipeline_tasks.commands.remake import remake
    from pipeline_tasks.commands.work import folder_of, this_run
    from pipeline_tasks.params import load_params
    from pipeline_tasks.prompts import read_prompts
    from pipeline_tasks.schema import STRENGTH, MaskRow, Sample, StrengthTrial
    from pipeline_tasks.stages import generate as stage
    from pipeline_tasks.storage import make_room, read_rows, replace_folder, write_rows

    params = load_params()
    torch.set_num_threads(params.generate.threads)
    asked, what = params.masks.pairs_per_defect, f"{product} {defect}"
    inputs = [masks, samples, normals, prompts, pretrained, model]
    made_by = this_run(inputs, [params.run, params.backend, params.generate, asked])
    backend = load_backend(params, model, pretrained)
    book = read_prompts(prompts).borrow(product, defect, source)
    known = stage.known_defects(read_rows(samples, Sample))
    sources = stage.Sources(partial(_by_path, samples), partial(_by_path, normals), book, known)
    if only:
        make_again = partial(stage.run_again, params.generate, backend, sources, made_by)
        remake(masks, {*only}, params.generate.block_pairs, pairs, make_again)
        print(f"{what}: made again by {backend.name}: {', '.join(map(str, sorted({*only})))}")
        return
    work = _begun(folder_of("generate", f"{product}-{defect}", made_by.run_id))
    numbered = groupby(read_rows(masks, MaskRow), key=lambda row: row.pair_index // params.generate.shard_pairs)
    shards = ((work / f"{number:05d}.parquet", rows) for number, rows in numbered)
    _fill(shards, asked, what, partial(stage.run, params.generate, backend, sources, made_by))
    tried = work / STRENGTH / "00000.parquet"
    if isinstance(backend, Graded) and not tried.exists():
        rows_tried = list(islice(read_rows(masks, MaskRow), params.generate.dit.trials))
        write_rows(tried, stage.try_strengths(backend, sources, rows_tried), StrengthTrial)
    make_room(pairs)
    replace_folder(work, pairs)
    shutil.rmtree(work.parent, ignore_errors=True)
    _tell(what, backend.name, pairs, asked)


def _begun(work: Path) -> Path:
    """Return the folder of the run's unfinished work, which holds nothing half written."""
    from pipeline_tasks.storage import PARTIAL

    work.mkdir(parents=True, exist_ok=True)
    for unfinished in work.rglob(f"*{PARTIAL}"):
        unfinished.unlink()
    return work


def _fill(
    shards: "Iterable[tuple[Path, Iterable[MaskRow]]]",
    asked: int,
    what: str,
    make: "Callable[[list[MaskRow], int], Iterable[Pair | Rejected]]",
) -> None:
    """Write shard after shard, each of its own rows, until there are as many pairs as were asked for."""
    from pipeline_tasks.progress import track
    from pipeline_tasks.schema import REJECTED, Pair, Rejected
    from pipeline_tasks.storage import open_table, write_rows

    kept = 0
    with track(range(asked), f"generate {what}") as bar:
        for shard, rows in shards:
            finished = shard.parent / REJECTED / shard.name
            if finished.exists():
                kept += open_table(shard, Pair).metadata.num_rows
            else:
                rejected: list[Rejected] = []
                kept += write_rows(shard, _kept(make(list(rows), asked - kept), rejected, bar.update), Pair)
                write_rows(finished, rejected, Rejected)
            bar.update(kept - bar.n)
            if kept == asked:
                return


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


def _tell(what: str, backend: str, pairs: Path, asked: int) -> None:
    """Print how many pairs there are, and what became of the others."""
    from pipeline_tasks.manifest import read_manifest
    from pipeline_tasks.schema import REJECTED, Pair, Rejected

    attempts = read_manifest(sorted(pairs.glob("*.parquet")), Pair)["attempts"].to_pylist()
    reasons = Counter(read_manifest(sorted((pairs / REJECTED).glob("*.parquet")), Rejected)["reason"].to_pylist())
    made, again, lost = len(attempts), sum(number > 1 for number in attempts), reasons.total()
    print(f"{what}: {made} of {asked} pairs asked for by {backend}, {again} of them made again, {lost} more rejected")
    if reasons:
        print(f"{what}: rejected" + "".join(f", {number} x {reason}" for reason, number in reasons.most_common()))
    if made < asked:
        used = f"its {made + lost} masks, those in reserve included, are used up, and {lost} pairs were rejected"
        why = used if made + lost else "there is no mask of it"
        print(f"warning: {what}: {asked - made} pairs fewer than asked for: {why}")


def _by_path(table: Path, paths: set[str]) -> "Mapping[str, Sample]":
    from pipeline_tasks.manifest import read_selected
    from pipeline_tasks.schema import Sample

    return {sample.source_path: sample for sample in read_selected([table], Sample, "source_path", paths)}
