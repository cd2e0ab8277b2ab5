"""Names given on the command line, checked before any path is made of them."""

from typing import Annotated

import typer

from pipeline_tasks.catalog import check_name
from pipeline_tasks.errors import ConfigError


def _checked(option: typer.CallbackParam, name: str) -> str:
    try:
        return check_name(name)
    except ValueError as error:
        raise ConfigError(f"--{option.name}: {error}") from error


Name = Annotated[str, typer.Option(callback=_checked)]
"""A product or defect, as in catalog.yaml. Raises ConfigError for what is no name."""
