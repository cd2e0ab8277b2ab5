"""`defectline train`: base samples -> generator."""

import shutil
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from pipeline_tasks.commands.names import Name


def train(
    generator: Name,
    base: Annotated[Path, typer.Option(help="base samples of one product, or of several in folders of their own")],
    prompts: Annotated[Path, typer.Option()],
    pretrained: Annotated[Path, typer.Option()],
    model: Annotated[Path, typer.Option()],
) -> None:
    """Train a generator on the base samples; a killed run resumes at its last checkpoint."""
    import torch

    from pipeline_tasks.backends import count_processes, load_trainer
    from pipeline_tasks.commands.checkpoints import FolderCheckpoints
    from pipeline_tasks.commands.processes import is_launched, is_main_process, run_together
    from pipeline_tasks.commands.work import work_folder
    from pipeline_tasks.diffusion.device import check_devices
    from pipeline_tasks.params import load_params
    from pipeline_tasks.progress import track
    from pipeline_tasks.prompts import read_prompts
    from pipeline_tasks.schema import GOOD, Sample
    from pipeline_tasks.stages import train as stage
    from pipeline_tasks.storage import atomic_folder, read_rows, sample_files, write_json

    params = load_params()
    if (processes := count_processes(params)) > 1 and not is_launched():
        check_devices(params.train.device, processes)
        run_together(processes)
        return
    torch.set_num_threads(params.train.threads)
    inputs = [base, prompts, pretrained]
    work = work_folder("train", generator, inputs, [params.run, params.backend, params.train])
    files = sample_files(base)
    trained = stage.run(
        load_trainer(params, pretrained),
        params.run.seed,
        generator,
        [sample for file in files if file.stem != GOOD for sample in read_rows(file, Sample)],
        chain.from_iterable(read_rows(file, Sample) for file in files if file.stem == GOOD),
        read_prompts(prompts),
        FolderCheckpoints(work),
        lambda steps: iter(track(steps, f"train {generator}", total=steps.stop, done=steps.start)),
    )
    if not is_main_process():
        return
    losses = trained.losses
    with atomic_folder(model) as folder:
        trained.save(folder)
        every = range(0, len(losses), max(1, len(losses) // 200))
        write_json(folder / "curve.json", {"step": list(every), "loss": [losses[i] for i in every]})
    shutil.rmtree(work.parent, ignore_errors=True)
    last = losses[-max(1, len(losses) // 10) :]
    print(
        f"{generator}: {len(losses)} steps" + (f", mean loss of the last: {sum(last) / len(last):.3f}" if last else "")
    )
