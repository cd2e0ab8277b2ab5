"""What the test split says of what was chosen, in a sentence: for the report, never for a decision."""

from collections.abc import Mapping
from typing import Any

from pipeline_tasks.benefit.arms import CHOSEN, Recipe
from pipeline_tasks.benefit_params import INCUMBENT

SAYINGS = {
    "better": "On the real test images {} does better than {}",
    "worse": "On the real test images {} does worse than {}",
    "undecided": "On the real test images {} and {} cannot be told apart",
}
WORDS = {"pixel_ap": "pixel AP"}


def judge(arms: Mapping[str, Any], chosen: Recipe, generator_arm: str | None, score: str) -> dict[str, str]:
    """Return outcome and sentence on CHOSEN against the incumbent; if CHOSEN is real images, on the best generator arm.

    'better' or 'worse' where the interval of the paired difference leaves 0 out; 'undecided' otherwise. score: the name
    of the one that the arms were compared by.
    """
    is_made = CHOSEN in arms and any(not arm.is_real for arm in chosen.values())
    name = CHOSEN if is_made else generator_arm
    if name is None or name not in arms or arms[name]["against"] is None:
        return not_applicable("no arm with pairs was measured")
    against = arms[name]["against"]
    outcome = "better" if against["low"] > 0 else "worse" if against["high"] < 0 else "undecided"
    ours = "what was chosen" if name == CHOSEN else f"{name} (not chosen)"
    figures = f"{WORDS.get(score, score)} {_mean(arms[name], score):.3f} against {_mean(arms[INCUMBENT], score):.3f}"
    interval = f"difference {against['difference']:+.3f} (interval {against['low']:+.3f} to {against['high']:+.3f})"
    return {"outcome": outcome, "sentence": f"{SAYINGS[outcome].format(ours, INCUMBENT)}: {figures}, {interval}."}


def _mean(arm: Mapping[str, Any], score: str) -> float:
    return float((arm[score] or {"mean": 0.0})["mean"])


def not_applicable(reason: str) -> dict[str, str]:
    """Return the verdict where there is nothing to compare, with the reason."""
    return {"outcome": "not_applicable", "sentence": f"No comparison: {reason}."}
