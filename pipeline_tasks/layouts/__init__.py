"""Readers of the folder layouts users bring: each has NAME, matches(folder), defects(folder) and read(folder, wanted)."""

from types import ModuleType

from pipeline_tasks.errors import ConfigError
from pipeline_tasks.layouts import mvtec

READERS: dict[str, ModuleType] = {mvtec.NAME: mvtec}


def reader(name: str) -> ModuleType:
    """Return the reader of the layout called `name`. Raises ConfigError if there is none."""
    if name not in READERS:
        raise ConfigError(f"catalog.yaml: layout '{name}' is unknown; known: {', '.join(READERS)}")
    return READERS[name]
