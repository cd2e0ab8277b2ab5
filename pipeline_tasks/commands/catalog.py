"""`defectline catalog`: write catalog.yaml from a folder of one product or of several."""

from pathlib import Path
from typing import Annotated

import typer


def catalog(
    data: Annotated[Path, typer.Argument(help="folder of one product, or of several products' folders, or a CSV list")],
    layout: Annotated[str | None, typer.Option(help="how the folders lie, instead of what is detected")] = None,
    shared: Annotated[bool, typer.Option("--shared", help="one generator for all products together")] = False,
    output: Annotated[Path, typer.Option(help="file to write")] = Path("catalog.yaml"),
) -> None:
    """Find the products and defects below a folder and write catalog.yaml; outputs of what is gone are removed."""
    from pipeline_tasks.errors import ConfigError
    from pipeline_tasks.layouts.discovery import discover
    from pipeline_tasks.lineage.prune import prune
    from pipeline_tasks.params import load_params
    from pipeline_tasks.stages.prompts import check_zero_shot
    from pipeline_tasks.storage import atomic_file

    params = load_params()
    if params.zero_shot and params.backend.name != "dit":
        raise ConfigError(
            f"params.yaml: zero_shot needs backend.name: dit, found {params.backend.name}; "
            "change it, or empty zero_shot"
        )
    found, notes = discover(data, shared, params.zero_shot, layout)
    check_zero_shot(params.prompts, found)
    text = f"# Written by `defectline catalog`; dvc.yaml fans out over it.\n{found.to_yaml()}"
    if not output.exists() or output.read_text() != text:
        with atomic_file(output) as partial:
            partial.write_text(text)
    pruned = prune(output.resolve().parent)  # always: an earlier call may have been stopped before it came to this
    notes += [f"stage {stage} is gone; DVC's cache keeps its outputs" for stage in pruned.stages]
    notes += [f"{path}: left where it is, it holds files that are not DVC's" for path in pruned.left]
    for note in notes:
        print(f"note: {note}")
    print(f"{output}: products {', '.join(found.products)}; defects {', '.join(found.defects)}")
