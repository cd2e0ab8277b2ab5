"""`defectline prior STEP`: the steps that make the prior that ships, each in a file of its own, prior_STEP.py."""

from collections.abc import Callable
from enum import StrEnum
from importlib import import_module
from typing import Annotated, cast

import typer


class Step(StrEnum):
    """What can be done."""

    LOOK = "look"
    TRAIN = "train"
    MEASURE = "measure"
    CARD = "card"
    SHIP = "ship"


def prior(
    step: Annotated[Step, typer.Argument(help="ship: in the root of the repository; the others: in the folder prior/")],
) -> None:
    """Make a step towards the prior that the inpainting generator starts from; `make prior` makes them all."""
    name = f"prior_{step}"
    cast(Callable[[], None], getattr(import_module(f"pipeline_tasks.commands.{name}"), name))()
