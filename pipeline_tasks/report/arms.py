"""Arms side by side on the real test split: each detector's scores, and what every arm gains over the incumbent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline_tasks.report.forest import Difference, Forest, forest
from pipeline_tasks.report.tables import Cell, Table
from pipeline_tasks.report.words import SCORES, arm_words, detector_words, in_order, plain, score_words, spread_words

FIRST = tuple(SCORES)[:8]
"""Scores that are seen at once; the others are folded."""
NOT_SCORES = ("synthetic_images", "per_defect", "against")
"""What an arm's entry holds besides scores."""
Scores = Mapping[str, Mapping[str, Any]]
"""By arm or other row, the scores by name: {mean, std, ...}, null where one does not apply."""


@dataclass(frozen=True)
class DetectorSection:
    """What the report says of one detector.

    about: what it is. spread: what its scores are over. compared: the score whose difference to the incumbent is given,
    with intervals of `level`. reasons: why scores are missing.
    """

    name: str
    about: str
    spread: str
    compared: str
    level: str
    scores: Table
    more: Sequence[Table]
    reasons: Sequence[str]
    plot: Forest | None


def detector_sections(evaluation: Mapping[str, Any]) -> list[DetectorSection]:
    """Return a section for each detector that has arms, in the order given."""
    detectors: Mapping[str, Any] = evaluation.get("detectors", {})
    level = evaluation.get("confidence", 0.9)
    seeds = evaluation.get("seeds", [])
    return [
        _section(name, found, level, len(found.get("seeds", seeds)))
        for name, found in detectors.items()
        if found["arms"]
    ]


def _section(name: str, detector: Mapping[str, Any], level: float, seeds: int) -> DetectorSection:
    arms: Mapping[str, Any] = detector["arms"]
    overall = {arm: {k: v for k, v in scores.items() if _is_score(k, v)} for arm, scores in arms.items()}
    names = in_order(key for scores in overall.values() for key in scores)
    first, others = [n for n in names if n in FIRST], [n for n in names if n not in FIRST]
    compared = score_words(names[0]) if names else "score"
    folded = [score_table("Further scores", overall, {score: score_words(score) for score in others})] if others else []
    return DetectorSection(
        name=detector_words(name, detector.get("about")),
        spread=spread_words([seeds]).capitalize(),
        about="; ".join(f"{plain(key)}: {value}" for key, value in detector.get("about", {}).items()),
        compared=compared,
        level=f"{level:.0%}",
        scores=_main(arms, overall, first),
        more=[*folded, *_by_defect(arms)],
        reasons=[f"No {score_words(score)}: {why}." for score, why in detector.get("reasons", {}).items()],
        plot=forest([_difference(arm, a["against"]) for arm, a in arms.items() if a.get("against")]),
    )


def _difference(arm: str, against: Mapping[str, float]) -> Difference:
    return Difference(arm_words(arm), *(against[key] for key in ("difference", "low", "high", "probability")))


def _is_score(name: str, value: Any) -> bool:
    return name not in NOT_SCORES and (value is None or (isinstance(value, Mapping) and "mean" in value))


def _main(arms: Mapping[str, Any], overall: Scores, names: Sequence[str]) -> Table:
    """Return the first scores, and how many synthetic images each arm learned from."""
    scores = score_table("", overall, {name: score_words(name) for name in names})
    images = [arm.get("synthetic_images") for arm in arms.values()]
    counts = [Cell("n/a" if number is None else f"{number:,}") for number in images]
    rows = [(head, [*cells, count]) for (head, cells), count in zip(scores.rows, counts, strict=True)]
    return Table("", [*scores.columns, "synthetic images"], rows, scores.notes)


def _by_defect(arms: Mapping[str, Any]) -> list[Table]:
    """Return a table for every score that is given by defect: arms as rows, defects as columns."""
    by_defect = {arm: scores.get("per_defect") or {} for arm, scores in arms.items()}
    defects = list(dict.fromkeys(defect for scores in by_defect.values() for defect in scores))
    tables = []
    for score in in_order(key for given in by_defect.values() for scores in given.values() for key in scores):
        values = {arm: {d: given.get(d, {}).get(score) for d in defects} for arm, given in by_defect.items()}
        if any(value for row in values.values() for value in row.values()):
            columns = {defect: defect for defect in defects}
            tables.append(score_table(f"{score_words(score)} by defect", values, columns))
    return tables


def score_table(title: str, scores: Scores, columns: Mapping[str, str]) -> Table:
    """Return a table of arms by scores, whose `columns` are told in words; what beats every other row is marked."""
    rows = [(arm_words(arm), [_cell(scores, arm, column) for column in columns]) for arm in scores]
    return Table(title, list(columns.values()), rows, list(scores))


def _cell(scores: Scores, row: str, column: str) -> Cell:
    mine = scores[row].get(column)
    others = [given.get(column) for name, given in scores.items() if name != row]
    if not mine:
        return Cell("n/a")
    spread = "" if mine.get("std") is None else f"±\N{NO-BREAK SPACE}{mine['std']:.3f}"
    return Cell(f"{mine['mean']:.3f}", _beats(mine, [other for other in others if other]), spread)


def score_text(score: Mapping[str, Any] | None) -> str:
    """Return mean ± standard deviation; the mean alone where there is no spread."""
    if not score:
        return "n/a"
    return f"{score['mean']:.3f}" + ("" if score.get("std") is None else f" ± {score['std']:.3f}")


def _beats(mine: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> bool:
    if not others:
        return False
    lowest = mine["mean"] - (mine.get("std") or 0)
    return bool(lowest > max(other["mean"] + (other.get("std") or 0) for other in others))
