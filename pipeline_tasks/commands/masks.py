"""`defectline masks`: base masks and normal images of a defect -> new masks, placed."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline_tasks.commands.names import Name

if TYPE_CHECKING:
    from pipeline_tasks.schema import MaskRow


def masks(
    product: Name,
    defect: Name,
    samples: Annotated[Path, typer.Option()],
    normals: Annotated[Path, typer.Option()],
    masks: Annotated[Path, typer.Option()],
) -> None:
    """Make new masks of a defect from the real ones and place them on normal images."""
    from pipeline_tasks.params import load_params
    from pipeline_tasks.progress import track
    from pipeline_tasks.schema import MaskRow, Sample
    from pipeline_tasks.stages import masks as stage
    from pipeline_tasks.storage import open_table, read_rows, write_rows

    params = load_params()
    real = open_table(samples, Sample).metadata.num_rows
    tables = read_rows(samples, Sample), read_rows(normals, Sample)
    pairs = stage.run(params.masks, params.run.seed, product, defect, *tables)
    refused: Counter[str] = Counter()

    def made() -> Iterator["MaskRow"]:
        for pair in track(pairs, "masks", total=params.masks.pairs_per_defect if real else 0):
            if isinstance(pair, stage.Refused):
                refused[pair.reason] += 1
            else:
                yield pair

    count = write_rows(masks, made(), MaskRow)
    reasons = "".join(f", {number} x {reason}" for reason, number in refused.most_common())
    print(f"{product}/{defect}: {count} masks from {real} real ones, refused {refused.total()}{reasons}")
    if not real:
        print(f"warning: {product}/{defect} has no base sample, so no pairs will be made of it")
