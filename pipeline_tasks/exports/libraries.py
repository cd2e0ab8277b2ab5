"""Libraries that some formats need and that nothing else does: the extra `export`."""

from importlib import import_module
from typing import Any

from pipeline_tasks.errors import ConfigError


def library(name: str) -> Any:
    """Import a library of the extra `export`. Raises ConfigError, saying what to do, if it is not installed."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        raise ConfigError(
            f"this format needs {missing}, which is not installed: pip install 'defectline[export]'"
        ) from error
