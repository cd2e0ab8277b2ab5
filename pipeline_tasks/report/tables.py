"""The report's tables: the detectors' scores, the gate, and the counts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LABELS = {
    "real_only": "real images only",
    "pixel_ap": "pixel AP",
    "pixel_auroc": "pixel AUROC",
    "pixel_f1_max": "pixel F1-max",
    "image_auroc": "image AUROC",
}
"""How a person reads arms and scores, in this order; others follow under their own names."""
STATES = ("failed", "warning", "passed")


@dataclass(frozen=True)
class Cell:
    """A table cell, with a note below; `best` if it beats every other row by more than both spreads."""

    text: str
    best: bool = False
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table with a title, its column heads, and its rows as (head, cells)."""

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]


@dataclass(frozen=True)
class Check:
    """One line of the gate: a rule, or several that differ only in their column and all hold."""

    state: str
    sentence: str
    threshold: str
    observed: str


def score_tables(evaluation: Mapping[str, Any]) -> list[Table]:
    """Return the scores of every arm over the whole test split, then those that are given by defect."""
    arms: Mapping[str, Any] = evaluation.get("arms", {})
    overall = {arm: {k: v for k, v in scores.items() if _is_score(v)} for arm, scores in arms.items()}
    tables = [_table("All test images", overall)]
    by_defect = {arm: scores.get("per_defect") or {} for arm, scores in arms.items()}
    for score in _keys(scores for defects in by_defect.values() for scores in defects.values()):
        values = {arm: {d: s.get(score) for d, s in defects.items()} for arm, defects in by_defect.items()}
        if any(_is_score(v) and v for scores in values.values() for v in scores.values()):
            tables.append(_table(f"{_words(score)} by defect", values))
    return [table for table in tables if table.columns]


def _table(title: str, scores: Mapping[str, Mapping[str, Any]]) -> Table:
    columns = _keys(scores.values())
    arms = _in_order(scores)
    rows = [(_words(arm), [Cell(_text(scores[arm].get(c)), _is_best(arm, c, scores)) for c in columns]) for arm in arms]
    return Table(title, [_words(column) for column in columns], rows)


def _keys(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    return _in_order(key for row in rows for key in row)


def _in_order(names: Iterable[str]) -> list[str]:
    places = {name: place for place, name in enumerate(LABELS)}
    return sorted(dict.fromkeys(names), key=lambda name: places.get(name, len(places)))


def _is_score(value: Any) -> bool:
    return value is None or (isinstance(value, Mapping) and "mean" in value)


def _text(score: Any) -> str:
    return f"{score['mean']:.3f} ± {score.get('std') or 0:.3f}" if score else "n/a"


def _is_best(arm: str, column: str, scores: Mapping[str, Mapping[str, Any]]) -> bool:
    mine = scores[arm].get(column)
    others = [row.get(column) for name, row in scores.items() if name != arm]
    if not mine or not any(others):
        return False
    return all(mine["mean"] - _std(mine) > other["mean"] + _std(other) for other in others if other)


def _std(score: Mapping[str, Any]) -> float:
    return float(score.get("std") or 0)


def _words(name: str) -> str:
    return LABELS.get(name) or name.replace("_", " ")


def checks(gate: Mapping[str, Any]) -> list[Check]:
    """Return the gate's lines: what stops, what warns, then what holds, with alike rules that hold as one line."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for entry in gate["expectations"]:
        groups.setdefault((_state(entry), entry["name"]), []).append(entry)
    lines = []
    for (state, name), alike in sorted(groups.items(), key=lambda group: STATES.index(group[0][0])):
        if state == "passed" and len(alike) > 1:
            items = ", ".join(dict.fromkeys(e["defect"] or e["column"] for e in alike))
            threshold = alike[0]["threshold"] if len({e["threshold"] for e in alike}) == 1 else ""
            lines.append(Check(state, f"{_words(name).capitalize()}: {items}", threshold, f"all {len(alike)} hold"))
        else:
            lines += [Check(state, e["sentence"], e["threshold"], e["observed"]) for e in alike]
    return lines


def _state(entry: Mapping[str, Any]) -> str:
    if entry["success"]:
        return "passed"
    return "failed" if entry["severity"] == "critical" else "warning"


def count_table(gate: Mapping[str, Any]) -> Table:
    """Return the pairs by defect; what was rejected and refused with the reasons."""
    counts = gate["counts"]
    rows = []
    for defect, made in sorted(counts["pairs"].items()):
        numbers = [Cell(str(n)) for n in (counts["asked_per_defect"], made, counts["made_again"].get(defect, 0))]
        rows.append((defect, [*numbers, *(_by_reason(counts[way], defect) for way in ("rejected", "refused"))]))
    return Table("", ["pairs asked for", "made", "of them made again", "rejected", "mask refused"], rows)


def _by_reason(counts: Mapping[str, Mapping[str, int]], defect: str) -> Cell:
    reasons = sorted(counts.get(defect, {}).items(), key=lambda item: (-item[1], item[0]))
    return Cell(str(sum(n for _, n in reasons)), note=", ".join(f"{n} {reason}" for reason, n in reasons))


def shortfalls(gate: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each defect of which fewer pairs were made than asked for: by how many, and why."""
    return [sentence for _, sentence in sorted(gate["counts"]["shortfall"].items())]
