"""Names given on the command line, checked before any path is made of them."""

from typing import Annotated

import typer

from pipeline_tasks.catalog import check_name
from pipeline_tasks.errors import ConfigError


def _checked(given: typer.CallbackParam, name: str | None) -> str | None:
    try:
        return None if name is None else check_name(name)
    except ValueError as error:
        raise ConfigError(f"{given.opts[0]}: {error}") from error


Name = Annotated[str, typer.Option(callback=_checked)]
"""A product or defect, as in catalog.yaml. Raises ConfigError for what is no name."""
NamedProduct = Annotated[str, typer.Argument(callback=_checked)]
"""The same of a product that is given without an option before it."""
OptionalName = Annotated[str | None, typer.Option(callback=_checked)]
"""The same of what need not be given."""
