"""`defectline evaluate --product`: base, test and pairs -> what the pairs do for detectors, for the report."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline_tasks.commands.names import Name

COLUMNS = ("arm", "recall", "precision")


def evaluate(
    product: Name,
    base: Annotated[Path, typer.Option()],
    test: Annotated[Path, typer.Option()],
    masks: Annotated[Path, typer.Option()],
    pairs: Annotated[Path, typer.Option()],
    choice: Annotated[Path, typer.Option()],
    validation: Annotated[Path, typer.Option()],
    result: Annotated[Path, typer.Option()],
    curves: Annotated[Path, typer.Option()],
) -> None:
    """Train detectors on every arm and compare them on the real test split; a killed run resumes."""
    import time

    import torch

    from pipeline_tasks.benefit.trainings import Bench
    from pipeline_tasks.commands.ingredients import made_by_defect, pairs_by_source, read_samples
    from pipeline_tasks.commands.shelf import FolderShelf
    from pipeline_tasks.errors import ValidationFailed
    from pipeline_tasks.params import load_params
    from pipeline_tasks.progress import track
    from pipeline_tasks.stages import evaluate as stage
    from pipeline_tasks.storage import read_json, write_json

    if read_json(validation)["verdict"] != "passed":
        raise ValidationFailed(f"{validation}: the pairs of '{product}' did not pass the quality gate; see there why")
    params = load_params()
    settings, generator, detector = params.evaluate, params.backend.name, params.detector
    torch.set_num_threads(settings.threads)
    real, held_out = read_samples(base), read_samples(test)
    shelf = FolderShelf.of("evaluate", product)
    with track([], f"evaluate {product}, trainings") as bar:
        found = stage.run(
            settings,
            params.masks.perlin,
            params.run.seed,
            product,
            generator,
            real,
            held_out,
            pairs_by_source(product, pairs, masks, real, generator, settings.pairs_per_arm, params.generate),
            read_json(choice),
            lambda kind: Bench(detector.seen_by(kind), kind, shelf, time.process_time, bar.update),
            left_out=[defect for defect, (source, _) in made_by_defect(pairs).items() if source != product],
        )
    write_json(result, found.result)
    _write_curves(curves, found.curves)
    shelf.tidy()
    print(f"{product}: {found.result['verdict']['outcome']}. {found.result['verdict']['sentence']}")


def _write_curves(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    from pipeline_tasks.storage import atomic_file

    with atomic_file(path) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
