"""`defectline choose`: base samples and pairs -> what to train each defect with."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline_tasks.commands.names import Name


def choose(
    product: Name,
    base: Annotated[Path, typer.Option()],
    masks: Annotated[Path, typer.Option()],
    pairs: Annotated[Path, typer.Option()],
    choice: Annotated[Path, typer.Option()],
) -> None:
    """Choose, by cross-validation on the base set alone, what to train each defect with; a killed run resumes."""
    import time

    import torch

    from pipeline_tasks.benefit.trainings import Bench
    from pipeline_tasks.commands.ingredients import pairs_by_source, read_samples
    from pipeline_tasks.commands.shelf import FolderShelf
    from pipeline_tasks.params import load_params
    from pipeline_tasks.progress import track
    from pipeline_tasks.stages import choose as stage
    from pipeline_tasks.storage import write_json

    params = load_params()
    torch.set_num_threads(params.choose.threads)
    samples, generator = read_samples(base), params.backend.name
    made = pairs_by_source(product, pairs, masks, samples, generator, params.choose.pairs_per_arm, params.generate)
    shelf = FolderShelf.of("choose", product)
    with track([], f"choose {product}, trainings") as bar:
        found = stage.run(
            params.choose,
            params.masks.perlin,
            params.run.seed,
            product,
            generator,
            samples,
            made,
            Bench(params.detector, "unet", shelf, time.process_time, bar.update),
        )
    write_json(choice, found)
    shelf.tidy()
    for defect, decision in found["defects"].items():
        print(f"{product}/{defect}: {decision['outcome']}, train {decision['arm']}. {decision['reason']}")
    if found["reason"]:
        print(f"{product}: nothing was measured. {found['reason']}")
    for sentence in found["left_out"]:
        print(f"{product}: left out: {sentence}")
