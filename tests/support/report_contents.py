"""What a report shows, of plain pixels and small results; a test names the values that matter to it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from benefit_results import choice, curve_points, evaluation
from rows import digest, pair, sample

from pipeline_tasks.report.contents import (
    DefectContents,
    Example,
    Extremes,
    Head,
    History,
    PairCounts,
    Previous,
    ProductContents,
    Standing,
)
from pipeline_tasks.schema import GOOD, StrengthTrial
from pipeline_tasks.splits.membership import Member

HEAD = Head("0123456789ab", datetime(2030, 1, 2, 3, 4, tzinfo=UTC), "f" * 40, False, "run7", None)
NORMAL = sample(GOOD, source_path="train/good/<7>.png")
NEW = History(None, {}, {})
"""The history of a first version."""
COUNTS = PairCounts(20, 3, 4, {"image": 15, "transformed": 5}, {"48 × 40": 20})
CHAMPION = Standing("plate", "champion", "Positive in every repeat.", "defectline-plate-dataset", "3", "3")


def defect_contents(
    defect: str = "pit",
    examples: Sequence[Example] = (),
    *,
    source: str = "plate",
    best: Sequence[Example] = (),
    worst: Sequence[Example] = (),
    trials: Sequence[StrengthTrial] = (),
) -> DefectContents:
    """Return a defect with these examples and a real sample."""
    real = [sample(defect, source_path=f"test/{defect}/1.png")]
    extremes = Extremes(best, worst)
    return DefectContents(
        defect=defect,
        source=source,
        path=f"data/pairs/plate/{defect}",
        digest=digest(defect),
        counts=lambda: COUNTS,
        examples=lambda: examples,
        extremes=lambda: extremes,
        real=lambda: real,
        trials=lambda: trials,
    )


def example(defect: str = "pit", index: int = 0, **values: Any) -> Example:
    """Return a pair on NORMAL, its mask between two real ones."""
    parents = {"mask_kind": "image", "parent_a": "test/pit/1.png", "parent_b": "test/pit/2.png", "alpha": 0.5}
    return Example(pair(defect, index, **{"normal_path": NORMAL.source_path, **parents, **values}), NORMAL.image)


def product(**values: Any) -> ProductContents:
    """Return a product with pits and scratches, an example of each."""
    made = {"pairs": {"pit": 1, "scratch": 1}, "made_again": {"pit": 1}, "rejected": {}, "refused": {}}
    counts = {"asked_per_defect": 2, **made, "base": {"good": 3}, "test": {}, "shortfall": {"pit": "1 of 2 pairs"}}
    contents = ProductContents(
        product="plate",
        licence="CC-BY-4.0",
        generator={"Base model": "scratch, 31.0 dB", "Prompts": "template, although semantic was asked: no CLIP"},
        gate={"counts": counts, "expectations": [], "verdict": "passed"},
        choice=choice(),
        evaluation=evaluation(),
        curves=curve_points(["chosen", "real_flip"]),
        curve={"step": [0, 1, 2], "loss": [3.0, 2.0, 1.0]},
        set_aside=[],
        members=[],
        test=lambda paths: [sample(path.split("/")[1], source_path=path, split="test") for path in paths],
        defects=[defect_contents(defect, [example(defect)]) for defect in ("pit", "scratch")],
        docs="data_docs/plate/index.html",
    )
    return replace(contents, **values)


def previous(**values: Any) -> Previous:
    """Return a version before, without anything."""
    return replace(Previous("aaaabbbbcccc", datetime(2030, 1, 1, tzinfo=UTC), {}, {}, {}), **values)


def member(path: str, defect: str = "pit", split: str = "base", group: str = "") -> Member:
    """Return a sample's row of the split."""
    return Member(path, digest(path), defect, False, split, group, True, "few-shot-10")
