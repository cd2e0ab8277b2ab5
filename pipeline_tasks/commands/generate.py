"""`defectline generate`: masks and normal images -> shards of pairs."""

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline_tasks.commands.names import Name

if TYPE_CHECKING:
    from pipeline_tasks.schema import Sample


def generate(
    product: Name,
    defect: Name,
    masks: Annotated[Path, typer.Option()],
    base: Annotated[Path, typer.Option()],
    model: Annotated[Path, typer.Option()],
    prompts: Annotated[Path, typer.Option()],
    pairs: Annotated[Path, typer.Option()],
) -> None:
    """Generate the pairs of one defect; a killed run resumes after its last finished shard."""
    import torch

    from pipeline_tasks.backends import load_backend
    from pipeline_tasks.commands.work import work_folder
    from pipeline_tasks.params import load_params
    from pipeline_tasks.progress import track
    from pipeline_tasks.schema import GOOD, MaskRow, Pair
    from pipeline_tasks.stages import generate as stage
    from pipeline_tasks.storage import PARTIAL, open_table, read_json, read_shards, replace_folder, write_rows

    params = load_params()
    torch.set_num_threads(params.generate.threads)
    work = work_folder("generate", f"{product}-{defect}", [masks, base, model, prompts], [params.run, params.generate])
    work.mkdir(parents=True, exist_ok=True)
    for unfinished in work.glob(f"*{PARTIAL}"):
        unfinished.unlink()
    backend = load_backend(params.generate.backend, model, params.generate)
    samples, normals = partial(_by_path, base / f"{defect}.parquet"), partial(_by_path, base / f"{GOOD}.parquet")
    total = open_table(masks, MaskRow).metadata.num_rows
    prompt = read_json(prompts)[defect]
    with track(range(total), f"generate {product} {defect}") as bar:
        for index, shard in enumerate(read_shards(masks, MaskRow, params.generate.shard_pairs)):
            file = work / f"{index:05d}.parquet"
            if file.exists():
                bar.update(len(shard))
                continue
            made = stage.run(params.generate, backend, shard, samples, normals, prompt)
            write_rows(file, (pair for pair in made if bar.update() or True), Pair)
    replace_folder(work, pairs)
    shutil.rmtree(work.parent, ignore_errors=True)
    print(f"{product} {defect}: {total} pairs by {backend.name}")


def _by_path(table: Path, paths: set[str]) -> "Mapping[str, Sample]":
    from pipeline_tasks.manifest import read_selected
    from pipeline_tasks.schema import Sample

    return {sample.source_path: sample for sample in read_selected([table], Sample, "source_path", paths)}
