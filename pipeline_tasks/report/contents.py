"""What a report shows, as values."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pipeline_tasks.schema import Pair, Sample, SetAside, StrengthTrial
from pipeline_tasks.splits.membership import Member


@dataclass(frozen=True)
class Example:
    """A pair, and the normal image that it was made on or with: PNG, RGB uint8."""

    pair: Pair
    normal: bytes


@dataclass(frozen=True)
class Extremes:
    """A defect's pairs whose change agrees best, best first, and least, least first, with their masks; none is both."""

    best: Sequence[Example]
    worst: Sequence[Example]


@dataclass(frozen=True)
class PairCounts:
    """How many pairs a defect has, from how many real samples (`parents`) their masks are, on how many normal images.

    kinds, sizes: how many pairs have a mask of each kind (schema.MASK_KIND), and a size, 'width × height' in px.
    """

    pairs: int
    parents: int
    normals: int
    kinds: Mapping[str, int]
    sizes: Mapping[str, int]


@dataclass(frozen=True)
class DefectContents:
    """A defect's examples, some of its real samples to hold them against, and trials of its strength.

    They are large, so loaded when called for. source: the product that the real samples are of. path, digest: where DVC
    keeps the pairs, and its MD5 of them.
    """

    defect: str
    source: str
    path: str
    digest: str
    counts: Callable[[], PairCounts]
    examples: Callable[[], Sequence[Example]]
    extremes: Callable[[], Extremes]
    real: Callable[[], Sequence[Sample]]
    trials: Callable[[], Sequence[StrengthTrial]]


@dataclass(frozen=True)
class CurvePoint:
    """A point of an arm's precision-recall curve over the pixels of the test split; both 0..1."""

    arm: str
    recall: float
    precision: float


@dataclass(frozen=True)
class ProductContents:
    """One product: the results of validate, choose, evaluate and train as their JSON, and the defects."""

    product: str
    licence: str
    """Of its real samples: an SPDX identifier, or in words."""
    generator: Mapping[str, str]
    """What the generator starts from and is told, in words, under short headings."""
    gate: Mapping[str, Any]
    choice: Mapping[str, Any]
    """What cross-validation on the base set says to train with, defect by defect."""
    evaluation: Mapping[str, Any]
    curves: Sequence[CurvePoint]
    curve: Mapping[str, Sequence[float]]
    """Of the generator's training."""
    set_aside: Sequence[SetAside]
    members: Sequence[Member]
    """The split: every sample with its side."""
    test: Callable[[Collection[str]], Sequence[Sample]]
    """The test samples of these source_paths, in their order; to be shown, never to be learned from."""
    defects: Sequence[DefectContents]
    docs: str
    """Where the Data Docs page is, relative to the report."""


@dataclass(frozen=True)
class Promotion:
    """Who made a version the champion by hand, when (ISO 8601) and why."""

    by: str
    at: str
    reason: str


@dataclass(frozen=True)
class Standing:
    """What the gate made of a product's data set: version `number` of the registered model `model`, and why.

    champion: the version that is the champion at present, if any, by whatever came later; promotion: the act that made
    it so, where a person did.
    """

    product: str
    standing: Literal["champion", "challenger"]
    reason: str
    model: str
    number: str
    champion: str | None
    promotion: Promotion | None = None

    @property
    def present(self) -> Literal["champion", "challenger", "superseded"]:
        """What it is at present; superseded: the gate made it the champion, but another one is."""
        if self.champion == self.number:
            return "champion"
        return "superseded" if self.standing == "champion" else "challenger"


@dataclass(frozen=True)
class Previous:
    """The version registered before this one: its parameters, metrics, and its data sets' digests by name."""

    version: str
    created: datetime
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    datasets: Mapping[str, str]


@dataclass(frozen=True)
class History:
    """The version before, None for the first, and the parameters and metrics of this one to hold against it."""

    previous: Previous | None
    params: Mapping[str, str]
    metrics: Mapping[str, float]


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
    release: str = ""
    """The number of its git tag, "" before it has one."""
