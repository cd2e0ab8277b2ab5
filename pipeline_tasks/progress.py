"""Progress of long work: a bar on a terminal, one line every few seconds in a log."""

import sys
from collections.abc import Iterable
from typing import Any, TextIO


class _Lines:
    """A text stream that turns a bar's carriage returns into lines of their own."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> None:
        if line := text.strip("\r\n "):
            self.stream.write(line + "\n")

    def flush(self) -> None:
        self.stream.flush()


def track(items: Iterable[Any], what: str, total: int | None = None, done: int = 0) -> Any:
    """Return a tqdm bar over `items`; `done` of `total` were finished by an earlier run."""
    from tqdm import tqdm

    options: dict[str, Any] = {}
    if not sys.stderr.isatty():
        options = {"file": _Lines(sys.stderr), "mininterval": 3, "ncols": 100, "ascii": True}
    return tqdm(items, desc=what, total=total, initial=done, **options)
