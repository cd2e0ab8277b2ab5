"""What a report shows, as values."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline_tasks.schema import Pair, Sample, SetAside, StrengthTrial
from pipeline_tasks.splits.membership import Member


@dataclass(frozen=True)
class Example:
    """A pair, and the normal image that it was made on or with: PNG, RGB uint8."""

    pair: Pair
    normal: bytes


@dataclass(frozen=True)
class DefectContents:
    """A defect's examples, some of its real samples to hold them against, and trials of its strength.

    They are large, so loaded when called for. source: the product that the real samples are of.
    """

    defect: str
    source: str
    examples: Callable[[], Sequence[Example]]
    real: Callable[[], Sequence[Sample]]
    trials: Callable[[], Sequence[StrengthTrial]]


@dataclass(frozen=True)
class ProductContents:
    """One product: the results of validate, evaluate and train as their JSON, and the defects."""

    product: str
    generator: Mapping[str, str]
    """What the generator starts from and is told, in words, under short headings."""
    gate: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    curve: Mapping[str, Sequence[float]]
    set_aside: Sequence[SetAside]
    members: Sequence[Member]
    """The split: every sample with its side."""
    defects: Sequence[DefectContents]
    docs: str
    """Where the Data Docs page is, relative to the report."""


@dataclass(frozen=True)
class Head:
    """Which version the report is of, and where it is recorded."""

    version: str
    created: datetime
    git_revision: str
    git_dirty: bool
    run_id: str
    run_url: str | None
    """The run's page, where MLflow is a server."""
