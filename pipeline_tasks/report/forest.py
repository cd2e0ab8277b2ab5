"""The differences of arms to the incumbent, with their intervals, as an inline SVG dot plot."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline_tasks.benefit_params import INCUMBENT
from pipeline_tasks.report.charts import scale, ticks
from pipeline_tasks.report.words import arm_words, signed, span

LEFT, RIGHT, WIDTH = 280, 660, 900
TOP, ROW = 10, 26
PADDING = 0.06
"""Of the range of values, on either side."""


@dataclass(frozen=True)
class Difference:
    """What an arm scores above the incumbent, the interval of that, and the probability that it is more at all."""

    name: str
    difference: float
    low: float
    high: float
    probability: float


@dataclass(frozen=True)
class Dot:
    """A row of the plot, in px; `clear` if its interval does not hold zero."""

    name: str
    words: str
    clear: bool
    y: float
    x: float
    low: float
    high: float


@dataclass(frozen=True)
class Forest:
    """The plot: rows from `left` to `right`, ticks as (position in px, label), and where zero is."""

    dots: Sequence[Dot]
    ticks: Sequence[tuple[float, str]]
    zero: float
    height: int
    bottom: int
    width: int = WIDTH
    left: int = LEFT
    right: int = RIGHT
    top: int = TOP
    incumbent: str = arm_words(INCUMBENT)


def forest(rows: Sequence[Difference]) -> Forest | None:
    """Return the plot of `rows`, in their order from above; None without any."""
    if not rows:
        return None
    values = [0.0, *(value for row in rows for value in (row.low, row.high, row.difference))]
    padding = PADDING * (max(values) - min(values)) or 0.01
    low, high = min(values) - padding, max(values) + padding
    x_at, bottom = scale(low, high, LEFT, RIGHT), TOP + ROW * len(rows)
    dots = [
        Dot(
            row.name,
            f"{signed(row.difference)} ({span(row.low, row.high)}), P {row.probability:.0%}",
            row.low > 0 or row.high < 0,
            TOP + ROW * (number + 0.5),
            *(round(x_at(value), 1) for value in (row.difference, row.low, row.high)),
        )
        for number, row in enumerate(rows)
    ]
    marks = [(round(x_at(value), 1), _mark(value)) for value in ticks(low, high)]
    return Forest(dots, marks, round(x_at(0), 1), bottom + 26, bottom)


def _mark(value: float) -> str:
    return f"{value:+.2g}".replace("-", "−") if value else "0"
