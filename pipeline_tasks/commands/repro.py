"""`defectline repro STAGE`: one stage of dvc.yaml, as a scheduler's task runs it."""

from pathlib import Path
from typing import Annotated

import typer

CRASHED = 70
"""Exit status after a crash, which a scheduler may try again; a stage that refuses, with a message, exits with 1."""


def repro(
    stage: Annotated[str, typer.Argument(help="as in dvc.yaml, for example generate@plate-pit")],
    run: Annotated[
        str, typer.Option(help="name of a run over several nodes: take inputs from its other stages, hand outputs over")
    ] = "",
) -> None:
    """Run one stage if what it depends on has changed; the last line is `ran`, `restored` or `unchanged`."""
    from pipeline_tasks.lineage.node import reproduce_on_node
    from pipeline_tasks.lineage.repro import StageCrashed, reproduce_stage

    try:
        outcome = reproduce_on_node(Path.cwd(), stage, run) if run else reproduce_stage(Path.cwd(), stage)
    except StageCrashed as crash:
        typer.echo(f"crashed: {crash}", err=True)
        raise typer.Exit(CRASHED) from crash
    print(outcome)
