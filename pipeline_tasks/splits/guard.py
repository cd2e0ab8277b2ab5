"""The guard of every step that takes samples: one of the wrong split stops the run by name (METHODS section 0)."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from pipeline_tasks.errors import LeakageError

BASE, TEST = "base", "test"


class Placed(Protocol):
    """What the guard looks at: a Sample, or a row of a manifest of samples."""

    @property
    def product(self) -> str: ...
    @property
    def source_path(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def split(self) -> str: ...
    @property
    def derived_from(self) -> str | None: ...


Row = TypeVar("Row", bound=Placed)


def of_base(samples: Iterable[Row], step: str) -> Iterator[Row]:
    """Yield the samples. Raises LeakageError naming the first that is not of the base split, and the `step`."""
    for sample in samples:
        if sample.split != BASE:
            raise _misplaced(sample, step, f"is a {sample.split} sample, and only base samples may be learned from")
        yield sample


def of_test(samples: Iterable[Row], step: str) -> Iterator[Row]:
    """Yield the samples. Raises LeakageError naming the first that is not of the test split, or is a derived image."""
    for sample in samples:
        if sample.split != TEST:
            raise _misplaced(sample, step, f"is a {sample.split} sample, and only test samples may be measured on")
        if isinstance(sample.derived_from, str):
            raise _misplaced(sample, step, f"is made from '{sample.derived_from}', and nothing made is measured on")
        yield sample


def _misplaced(sample: Placed, step: str, what: str) -> LeakageError:
    name = f"{sample.product}/{sample.source_path}"
    return LeakageError(f"{step}: '{name}' {what}; run the stages again from ingest on")
