"""An evaluation by protocol as plain text, for a terminal."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pipeline_tasks.benefit_params import INCUMBENT
from pipeline_tasks.report.arms import score_text
from pipeline_tasks.report.over_draws import Draw, Values, arms_by_detector, durations, is_spread, likeness, run_name
from pipeline_tasks.report.words import (
    CHOSEN,
    detector_words,
    in_order,
    mixture_words,
    plain,
    score_words,
    signed,
    span,
    spread_words,
)

NONE = "n/a"
ORDER = ("real", "paste", "cutpaste", "perlin")
"""Sources of arms, in the order in which they are told; generators follow."""


def product_text(product: str, protocol: str, draws: Sequence[Draw]) -> str:
    """Return what was found about a product: verdicts, arms by detector, choice, pairs, time, what was left out."""
    count = f", {len(draws)} draws" if len(draws) > 1 else ""
    parts = [f"{product}, protocol {protocol}{count}{_budget(draws)}", _verdicts(draws)]
    parts += [_detector(name, arms, draws) for name, arms in arms_by_detector(draws).items()]
    parts += [_choices(draws), _likeness(draws), _durations(draws), _left_out(draws)]
    return "\n\n".join(part for part in parts if part)


def _budget(draws: Sequence[Draw]) -> str:
    evaluation = draws[0][0]["evaluation"]
    return f", budget {evaluation['budget']}" if evaluation else ""


def _verdicts(draws: Sequence[Draw]) -> str:
    first = [draw[0]["evaluation"] for draw in draws if draw[0]["evaluation"]]
    return "\n".join(
        f"{_of_draw(number, first)}{plain(its['verdict']['outcome'])}: {its['verdict']['sentence']}"
        for number, its in enumerate(first)
    )


def _of_draw(number: int, draws: Sequence[Any]) -> str:
    return f"draw {number}: " if len(draws) > 1 else ""


def _detector(name: str, arms: Mapping[str, Values], draws: Sequence[Draw]) -> str:
    """Return a detector's arms: the difference to the incumbent, every score that applies, synthetic images."""
    found = [key for arm in arms.values() for key, value in arm.items() if key != "against" and is_spread(value)]
    scores = in_order(found)
    against = f"{score_words(scores[0])} against {INCUMBENT}" if scores else f"against {INCUMBENT}"
    head = ["arm", against, *map(score_words, scores), "synthetic images"]
    rows = [
        [arm, _against(arms[arm]), *(score_text(arms[arm].get(s)) for s in scores), _images(arms[arm])]
        for arm in sorted(arms, key=_place)
    ]
    title = f"{detector_words(name, _about(name, draws))}, {_spread_of(name, draws)}"
    return "\n".join([title, *aligned([head, *rows]), *_reasons(name, draws)])


def _place(arm: str) -> int:
    """Return where an arm stands: real images, then what is made without a generator, generators, what was chosen."""
    source = arm.partition("_")[0]
    return ORDER.index(source) if source in ORDER else len(ORDER) + (arm == CHOSEN)


def _evaluations(detector: str, draw: Draw) -> list[Values]:
    """Return the evaluations of a draw's runs that trained the detector."""
    return [run["evaluation"] for run in draw if detector in (run["evaluation"] or {}).get("detectors", {})]


def _about(detector: str, draws: Sequence[Draw]) -> Values:
    found = [its["detectors"][detector] for draw in draws for its in _evaluations(detector, draw)]
    return next((its["about"] for its in found if its.get("about")), {})


def _spread_of(detector: str, draws: Sequence[Draw]) -> str:
    """Return what the figures of a detector are over: a budget may have had time for fewer seeds than another's."""
    if len(draws) > 1:
        return f"mean ± standard deviation over {len(draws)} draws"
    found = _evaluations(detector, draws[0])
    seeds = [its["detectors"][detector].get("seeds", its["seeds"]) for its in found]
    return f"{spread_words(map(len, seeds))}; [{found[0].get('confidence', 0.9):.0%} interval]"


def _against(arm: Values) -> str:
    found = arm.get("against")
    if not found:
        return "–"
    if is_spread(found):
        return signed(found["mean"]) + ("" if found["std"] is None else f" ± {found['std']:.3f}")
    return f"{signed(found['difference'])} [{span(found['low'], found['high'])}]"


def _images(arm: Values) -> str:
    images = arm.get("synthetic_images")
    return NONE if images is None else f"{images:,}"


def _reasons(detector: str, draws: Sequence[Draw]) -> list[str]:
    """Return why scores are missing: one line for all that have one reason."""
    scores: dict[str, list[str]] = {}
    for draw in draws:
        for score, why in draw[0]["evaluation"]["detectors"].get(detector, {}).get("reasons", {}).items():
            scores.setdefault(why, []).append(score_words(score))
    return [f"without {', '.join(dict.fromkeys(names))}: {why}" for why, names in scores.items()]


def _choices(draws: Sequence[Draw]) -> str:
    """Return what to train each defect with, and why, by the base set alone."""
    choices = [draw[0]["choice"] for draw in draws]
    lines = [
        f"  {_of_draw(number, draws)}{plain(defect)}: {its['outcome']}, {mixture_words(its)}. {its['reason']}"
        for number, choice in enumerate(choices)
        for defect, its in (choice or {}).get("defects", {}).items()
    ]
    return "\n".join(["chosen on folds of the base set, without the test images:", *lines]) if lines else ""


def _likeness(draws: Sequence[Draw]) -> str:
    """Return how like real defects the pairs are: a table for each defect, the runs side by side."""
    by_run = {run: defects for run, defects in likeness(draws).items() if defects}
    defects = dict.fromkeys(defect for found in by_run.values() for defect in found)
    return "\n\n".join(
        _likeness_of(defect, {run: its.get(defect, {}) for run, its in by_run.items()}) for defect in defects
    )


def _likeness_of(defect: str, by_run: Mapping[str, Mapping[str, Values]]) -> str:
    measures = dict.fromkeys(measure for found in by_run.values() for measure in found)
    rows = [[plain(m), *(_figure(its[m]) if m in its else NONE for its in by_run.values())] for m in measures]
    return "\n".join([f"pairs of {plain(defect)} against real ones", *aligned([["measure", *by_run], *rows])])


def _figure(found: Values) -> str:
    return f"{found['mean']:.4g}" + ("" if found["std"] is None else f" ± {found['std']:.2g}")


def _durations(draws: Sequence[Draw]) -> str:
    """Return how long generators took, where nothing else was asked for."""
    if any(run["evaluation"] for draw in draws for run in draw):
        return ""
    pairs = {run_name(run): sum(run["pairs"].values()) for run in draws[0]}
    rows = [
        [run, _seconds(found["training"]), f"{pairs[run]:,}", _seconds(found["pair"]), _rate(found["pair"])]
        for run, found in durations(draws).items()
    ]
    title = "seconds, of whole stages: start, work and storing; n/a: a stage was resumed, or its outputs were there"
    head = ["run", "training", "pairs", "seconds a pair", "pairs a second"]
    return "\n".join([title, *aligned([head, *rows])])


def _seconds(found: Values | None) -> str:
    return _figure(found) if found else NONE


def _rate(found: Values | None) -> str:
    return f"{1 / found['mean']:.3g}" if found and found["mean"] else NONE


def _left_out(draws: Sequence[Draw]) -> str:
    sentences = [
        f"  {_of_draw(number, draws)}{where}: {sentence}"
        for number, draw in enumerate(draws)
        for run in draw
        for where, found in _wheres(run)
        for sentence in (found or {}).get("left_out", [])
    ]
    return "\n".join(["left out:", *dict.fromkeys(sentences)]) if sentences else ""


def _wheres(run: Values) -> Iterator[tuple[str, Values | None]]:
    own = f" [{run['name']}]" if run["name"] else ""
    yield f"choice{own}", run["choice"]
    yield f"evaluation{own}", run["evaluation"]


def aligned(rows: Iterable[Sequence[str]]) -> list[str]:
    """Return rows of equally many cells as lines, two spaces in, each column as wide as its longest cell."""
    cells = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells]
