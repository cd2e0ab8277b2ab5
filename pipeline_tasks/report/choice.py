"""What the choice on folds of the base set says to train with, defect by defect, and how it got there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline_tasks.benefit_params import INCUMBENT
from pipeline_tasks.report.arms import score_table, score_text
from pipeline_tasks.report.tables import Table
from pipeline_tasks.report.words import (
    CHOSEN,
    arm_words,
    detector_words,
    mixture_words,
    score_words,
    signed,
    span,
)

MISSING = "–"


@dataclass(frozen=True)
class Recommendation:
    """How to train one defect: its name, and how, in a sentence."""

    defect: str
    words: str


@dataclass(frozen=True)
class DefectRow:
    """A defect's scores on the real test split, so trained and as the incumbent is, and what was chosen out of fold."""

    defect: str
    chosen: str
    incumbent: str
    outcome: str = "not chosen for"
    mixture: str = MISSING
    arm: str = ""
    gain: str = MISSING
    interval: str = ""
    probability: str = MISSING
    reason: str = "The base set holds no image of it, so nothing was chosen."


@dataclass(frozen=True)
class DefectsSection:
    """The choices by defect; score and detector of the test columns; every arm's scores out of fold."""

    rows: Sequence[DefectRow]
    score: str
    repeats: int
    incumbent: str
    folds: Table | None


def recommendations(choice: Mapping[str, Any]) -> list[Recommendation]:
    """Return how to train each defect, in plain words."""
    return [Recommendation(defect, _advice(found)) for defect, found in choice.get("defects", {}).items()]


def _advice(found: Mapping[str, Any]) -> str:
    mixture = mixture_words(found)
    if found["outcome"] == "undecidable":
        return f"undecidable, so train on {mixture}. {found['reason']}"
    return f"no synthesis: train on {mixture}." if found["backend"] is None else f"train with {mixture}."


def defects_section(choice: Mapping[str, Any], evaluation: Mapping[str, Any]) -> DefectsSection:
    """Return the defects that were chosen for, then those that were only tested on."""
    headline = evaluation.get("headline") or {}
    arms = evaluation.get("detectors", {}).get(headline.get("detector"), {}).get("arms", {})
    chosen, score = choice.get("defects", {}), headline.get("score", "pixel_ap")
    defects = list(dict.fromkeys([*chosen, *(d for arm in arms.values() for d in arm.get("per_defect") or {})]))
    return DefectsSection(
        rows=[_row(defect, chosen.get(defect), arms, score) for defect in defects],
        score=f"{score_words(score)}, {detector_words(headline['detector'])}" if headline else score_words(score),
        repeats=choice.get("repeats", 0),
        incumbent=arm_words(choice.get("incumbent", INCUMBENT)),
        folds=_out_of_fold(choice),
    )


def _row(defect: str, found: Mapping[str, Any] | None, arms: Mapping[str, Any], score: str) -> DefectRow:
    tested = CHOSEN if CHOSEN in arms or not found else found["arm"]
    chosen, incumbent = (_test_score(arms, arm, defect, score) for arm in (tested, INCUMBENT))
    if found is None:
        return DefectRow(defect, chosen=chosen, incumbent=incumbent)
    gain, low, high, probability = (found.get(key) for key in ("gain", "low", "high", "probability"))
    return DefectRow(
        defect,
        chosen=chosen,
        incumbent=incumbent,
        outcome=found["outcome"],
        mixture=mixture_words(found),
        arm=found["arm"],
        gain=MISSING if gain is None else signed(gain),
        interval="" if low is None or high is None else span(low, high),
        probability=MISSING if probability is None else f"{probability:.0%}",
        reason=found["reason"],
    )


def _test_score(arms: Mapping[str, Any], arm: str, defect: str, score: str) -> str:
    by_defect = arms.get(arm, {}).get("per_defect") or {}
    return score_text(by_defect.get(defect, {}).get(score))


def _out_of_fold(choice: Mapping[str, Any]) -> Table | None:
    """Return every arm's pixel AP over all left-out pixels, for all defects and for each."""
    arms: Mapping[str, Any] = choice.get("arms", {})
    scores = {arm: {"": a.get("pixel_ap"), **(a.get("per_defect") or {})} for arm, a in arms.items()}
    defects = dict.fromkeys(defect for row in scores.values() for defect in row if defect)
    columns = {"": "all defects", **{defect: defect for defect in defects}}
    return score_table("", scores, columns) if scores else None
