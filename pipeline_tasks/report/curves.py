"""Precision against recall of a few arms over the pixels of the test split, as an inline SVG chart."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

from pipeline_tasks.benefit_params import INCUMBENT
from pipeline_tasks.report.arms import score_text
from pipeline_tasks.report.charts import OUTLINES, scale, shape_at
from pipeline_tasks.report.contents import CurvePoint
from pipeline_tasks.report.words import CHOSEN, arm_words, detector_words

WIDTH, HEIGHT = 860, 380
LEFT, RIGHT, TOP, BOTTOM = 52, 500, 12, 332
MARKERS = 5
"""Per line; they tell lines apart where colours do not."""
RADIUS = 4.0
KEY_X, KEY_Y, KEY_ROW = 524, 34, 46
TICKS = (0, 0.2, 0.4, 0.6, 0.8, 1)
PASTES = ("paste", "cutpaste", "perlin")


@dataclass(frozen=True)
class Curve:
    """A line of the chart in px: its points, the paths of its markers, and its place in the key with name and AP."""

    name: str
    note: str
    number: int
    points: str
    markers: Sequence[str]
    key_y: float
    key_marker: str


@dataclass(frozen=True)
class CurveChart:
    """The chart: ticks as (position in px, label) on both axes; the key is at its right."""

    detector: str
    curves: Sequence[Curve]
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = RIGHT
    top: int = TOP
    bottom: int = BOTTOM
    key_x: int = KEY_X


def curve_chart(points: Sequence[CurvePoint], evaluation: Mapping[str, Any]) -> CurveChart | None:
    """Return the curves of the chosen mixture, the incumbent, and the best arms of pasted, generated and real images.

    None without any; an arm that the evaluation does not score has no curve.
    """
    headline = evaluation.get("headline") or {}
    arms = evaluation.get("detectors", {}).get(headline.get("detector"), {}).get("arms", {})
    by_arm = {arm: list(rows) for arm, rows in groupby(sorted(points, key=_place), key=attrgetter("arm"))}
    scores = {arm: arms[arm][headline["score"]] for arm in arms if arm in by_arm and arms[arm].get(headline["score"])}
    shown = list(_shown(scores))
    if not shown:
        return None
    x_at, y_at = scale(0, 1, LEFT, RIGHT), scale(0, 1, BOTTOM, TOP)
    curves = [
        _curve(number, arm, score_text(scores[arm]), [(x_at(p.recall), y_at(p.precision)) for p in by_arm[arm]])
        for number, arm in enumerate(shown)
    ]
    return CurveChart(detector_words(headline["detector"]), curves, _marks(x_at), _marks(y_at))


def _place(point: CurvePoint) -> tuple[str, float, float]:
    """Return what orders the points of an arm from the left, and at one recall from above."""
    return point.arm, point.recall, -point.precision


def _shown(scores: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield the arms to draw, at most five, each once."""
    best: dict[str, str] = {}
    for arm in sorted(scores, key=lambda arm: -scores[arm]["mean"]):
        best.setdefault(_kind(arm), arm)
    wanted = (CHOSEN, INCUMBENT, *(best.get(kind) for kind in ("generated", "pasted", "real")))
    yield from dict.fromkeys(arm for arm in wanted if arm is not None and arm in scores)


def _kind(arm: str) -> str:
    source = arm.split("_")[0]
    if arm in (CHOSEN, INCUMBENT):
        return arm
    return "real" if source == "real" else "pasted" if source in PASTES else "generated"


def _curve(number: int, arm: str, score: str, places: Sequence[tuple[float, float]]) -> Curve:
    shape, key_y = list(OUTLINES)[number], KEY_Y + KEY_ROW * number
    return Curve(
        name=arm_words(arm),
        note=f"AP {score}",
        number=number,
        points=" ".join(f"{x:.1f},{y:.1f}" for x, y in places),
        markers=[shape_at(shape, *place, RADIUS) for place in _spaced(places, number)],
        key_y=key_y,
        key_marker=shape_at(shape, KEY_X + 18, key_y, RADIUS),
    )


def _spaced(places: Sequence[tuple[float, float]], number: int) -> Iterator[tuple[float, float]]:
    """Yield the places nearest to evenly spaced ones from the left; each line's begin a little further right."""
    step = (RIGHT - LEFT) / MARKERS
    for mark in range(MARKERS):
        wanted = LEFT + step * (mark + 0.2 + 0.15 * number)
        yield min(places, key=lambda place: abs(place[0] - wanted))


def _marks(place: Callable[[float], float]) -> list[tuple[float, str]]:
    return [(round(place(value), 1), f"{value:g}") for value in TICKS]
