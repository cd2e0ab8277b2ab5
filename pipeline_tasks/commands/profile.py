"""`defectline profile`: set the parameters that belong together."""

from pathlib import Path
from typing import Annotated

import typer


def profile(name: Annotated[str, typer.Argument(help="a file in profiles/, without its ending")]) -> None:
    """Write a profile's parameters into params.yaml; its other keys and its comments stay."""
    from pipeline_tasks.lineage.profile import apply_profile

    changed = apply_profile(Path(), name)
    for line in changed:
        print(f"params.yaml: {line}")
    print(f"profile {name}: {f'{len(changed)} keys changed' if changed else 'set already'}")
