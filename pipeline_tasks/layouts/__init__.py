"""Readers of the folder layouts users bring."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from pipeline_tasks.errors import ConfigError
from pipeline_tasks.layouts import mvtec
from pipeline_tasks.layouts.raw import RawReject, RawSample


class Reader(Protocol):
    """What a layout's module offers. `folder` is one product's."""

    def matches(self, folder: Path) -> bool:
        """Tell whether `folder` is one product in this layout."""

    def defects(self, folder: Path) -> list[str]:
        """Return the names of the defects that have at least one image and one mask file, sorted."""

    def notes(self, folder: Path) -> list[str]:
        """Return a sentence for each defect folder that cannot be used."""

    def read(self, folder: Path) -> Iterator[RawSample | RawReject]:
        """Yield every file as a sample or a reject: samples grouped by defect, normal images last."""


READERS: dict[str, Reader] = {mvtec.NAME: mvtec}


def reader(name: str) -> Reader:
    """Return the reader of the layout called `name`. Raises ConfigError if there is none."""
    if name not in READERS:
        raise ConfigError(f"catalog.yaml: layout '{name}' is unknown; known: {', '.join(READERS)}")
    return READERS[name]
