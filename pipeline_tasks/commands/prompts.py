"""`defectline prompts`: the text prompts of a product's defects."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline_tasks.commands.names import Name


def prompts(
    product: Name,
    base: Annotated[Path, typer.Option()],
    prompts: Annotated[Path, typer.Option()],
) -> None:
    """Write the text prompt of each defect of a product."""
    from pipeline_tasks.params import load_params
    from pipeline_tasks.schema import GOOD
    from pipeline_tasks.stages import prompts as stage
    from pipeline_tasks.storage import sample_files, write_json

    defects = [file.stem for file in sample_files(base) if file.stem != GOOD]
    write_json(prompts, stage.run(load_params().prompts, product, defects))
    print(f"{product}: {len(defects)} prompts")
