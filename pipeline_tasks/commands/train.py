"""`defectline train`: base samples -> generator."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from pipeline_tasks.commands.names import Name


def train(
    product: Name,
    base: Annotated[Path, typer.Option()],
    model: Annotated[Path, typer.Option()],
) -> None:
    """Train the generator of a product on its base samples; a killed run resumes at its last checkpoint."""
    import torch

    from pipeline_tasks.commands.checkpoints import FolderCheckpoints
    from pipeline_tasks.commands.work import work_folder
    from pipeline_tasks.params import load_params
    from pipeline_tasks.progress import track
    from pipeline_tasks.schema import GOOD, Sample
    from pipeline_tasks.stages import train as stage
    from pipeline_tasks.storage import atomic_folder, read_rows, write_json

    params = load_params()
    torch.set_num_threads(params.train.threads)
    work = work_folder("train", product, [base], [params.run, params.train])
    files = sorted(p for p in base.glob("*.parquet") if p.stem != GOOD)
    generator, losses = stage.run(
        params.train,
        params.run.seed,
        product,
        [sample for file in files for sample in read_rows(file, Sample)],
        read_rows(base / f"{GOOD}.parquet", Sample),
        FolderCheckpoints(work),
        lambda steps: iter(track(steps, f"train {product}", total=steps.stop, done=steps.start)),
    )
    with atomic_folder(model) as folder:
        generator.save(folder)
        every = range(0, len(losses), max(1, len(losses) // 200))
        write_json(folder / "curve.json", {"step": list(every), "loss": [losses[i] for i in every]})
    shutil.rmtree(work.parent, ignore_errors=True)
    last = losses[-max(1, len(losses) // 10) :]
    print(f"{product}: {len(losses)} steps, mean loss of the last {len(last)}: {sum(last) / len(last):.3f}")
