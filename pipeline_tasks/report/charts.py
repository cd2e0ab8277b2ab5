"""The parts of inline SVG charts, and the loss curve of a training."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil, floor, log10

WIDTH, HEIGHT = 560, 180
LEFT, BOTTOM, MARGIN = 44, 24, 8
SMOOTHING = 0.9
STYLES = ("raw", "series-0", "series-1")
OUTLINES = {
    "circle": "M{l} {y}a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0z",
    "square": "M{l} {t}h{d}v{d}h-{d}z",
    "triangle": "M{x} {t}L{e} {b}H{l}z",
    "diamond": "M{x} {t}L{e} {y}L{x} {b}L{l} {y}z",
    "plus": "M{l} {y}H{e}M{x} {t}V{b}",
    "cross": "M{l} {t}L{e} {b}M{e} {t}L{l} {b}",
}
"""SVG paths of the shapes that tell the series of a chart apart where colour does not."""


@dataclass(frozen=True)
class Line:
    """One line of a chart: its name, its CSS class, an SVG points attribute, and its last value."""

    name: str
    style: str
    points: str
    last: float


@dataclass(frozen=True)
class Chart:
    """Lines in a frame of WIDTH x HEIGHT, with ticks as (position in px, label)."""

    lines: Sequence[Line]
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    bottom: int = HEIGHT - BOTTOM
    right: int = WIDTH - MARGIN
    top: int = MARGIN


def loss_chart(curve: Mapping[str, Sequence[float]]) -> Chart | None:
    """Return the chart of {"step": [...], NAME: [...], ...}; None if there are fewer than two steps.

    The training loss is noisy, so its moving average is drawn over it.
    """
    steps = curve.get("step", [])
    if len(steps) < 2:
        return None
    series = {name: values for name, values in curve.items() if name != "step" and len(values) == len(steps)}
    if "loss" in series:
        series = {"each step": series.pop("loss"), "loss, smoothed": _smoothed(curve["loss"]), **series}
    top = max(max(values) for values in series.values())
    x_at = scale(steps[0], steps[-1], LEFT, WIDTH - MARGIN)
    y_at = scale(0, top, HEIGHT - BOTTOM, MARGIN)
    lines = []
    for number, (name, values) in enumerate(series.items()):
        points = " ".join(f"{x_at(x):.1f},{y_at(y):.1f}" for x, y in zip(steps, values, strict=True))
        lines.append(Line(name, STYLES[number % len(STYLES)], points, values[-1]))
    x_ticks = [(x_at(value), f"{value:g}") for value in (steps[0], steps[-1])]
    return Chart(lines, x_ticks, [(y_at(value), f"{value:.3g}") for value in (0, top / 2, top)])


def scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Return the map of low..high to start..end; values beyond are drawn at the edge."""
    extent = (high - low) or 1
    return lambda value: start + (end - start) * min(1, max(0, (value - low) / extent))


def ticks(low: float, high: float, steps: int = 6) -> list[float]:
    """Return round numbers in low..high, at most `steps` even steps from the first to the last."""
    decade = 10.0 ** floor(log10((high - low) / steps))
    step = next(size for factor in (1, 2, 5, 10) if (size := factor * decade) * steps >= high - low)
    return [number * step for number in range(ceil(low / step), floor(high / step) + 1)]


def shape_at(shape: str, x: float, y: float, radius: float) -> str:
    """Return the SVG path of one of OUTLINES about (x, y), in px."""
    sides = {"x": x, "y": y, "l": x - radius, "e": x + radius, "t": y - radius, "b": y + radius}
    numbers = {**sides, "r": radius, "d": 2 * radius}
    return OUTLINES[shape].format(**{name: f"{value:.1f}" for name, value in numbers.items()})


def _smoothed(values: Sequence[float]) -> list[float]:
    """Return the exponential moving average, corrected for its start."""
    sums = accumulate(values, lambda mean, value: SMOOTHING * mean + (1 - SMOOTHING) * value, initial=0.0)
    return [total / (1 - SMOOTHING**i) for i, total in enumerate(sums) if i]
