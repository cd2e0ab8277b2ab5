"""The report's tables, and two of them: the gate and the counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline_tasks.report.words import plain

STATES = ("failed", "warning", "passed")


@dataclass(frozen=True)
class Cell:
    """A table cell, with a note below; `best` if it beats every other row by more than both spreads."""

    text: str
    best: bool = False
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table with a title, its column heads, and its rows as (head, cells); `notes` go below the heads, if any."""

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Check:
    """One line of the gate: a rule, or several that differ only in their column and all hold."""

    state: str
    sentence: str
    threshold: str
    observed: str


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
            lines.append(Check(state, f"{plain(name).capitalize()}: {items}", threshold, f"all {len(alike)} hold"))
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
