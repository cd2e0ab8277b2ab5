"""`defectline sample`: draw the quickstart's product."""

from pathlib import Path
from typing import Annotated

import typer


def sample(
    out: Annotated[Path, typer.Argument(help="folder of the product; its name is the product's name")],
    seed: Annotated[int, typer.Option(min=0, help="another seed draws other plates and defects")] = 0,
) -> None:
    """Draw the sample product, machined plates with scratches, pits and stains, in the MVTec-AD layout."""
    from pipeline_tasks.sample.product import FEW_SHOT, plan, write_product

    if write_product(out, seed, FEW_SHOT):
        print(f"{out}: drew the {len(plan(FEW_SHOT))} images of seed {seed}")
    else:
        print(f"{out}: holds the sample product of seed {seed} already; nothing to do")
