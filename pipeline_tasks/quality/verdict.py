"""Do a generator's pairs help? Real data with them against real data alone, paired over seeds (METHODS section 5)."""

import math
from collections.abc import Sequence
from statistics import mean, stdev

SAYINGS = {
    "better": "Pairs by {} help",
    "worse": "Pairs by {} hurt",
    "undecided": "Whether pairs by {} help cannot be told",
}


def judge(generator: str, real: Sequence[float], synthetic: Sequence[float]) -> dict[str, str]:
    """Compare pixel APs, seed by seed: real data alone against real data with pairs by `generator`.

    'better' or 'worse' only if every seed says so and the mean difference exceeds its standard deviation over the
    seeds; 'undecided' otherwise, and always with one seed, which shows no spread.
    """
    gains = [ours - theirs for ours, theirs in zip(synthetic, real, strict=True)]
    spread = stdev(gains) if len(gains) > 1 else math.inf
    outcome = "undecided"
    if abs(mean(gains)) > spread and min(gains) > 0:
        outcome = "better"
    elif abs(mean(gains)) > spread and max(gains) < 0:
        outcome = "worse"
    seeds = f"± {spread:.3f} over {len(gains)} seeds" if len(gains) > 1 else "one seed, spread unknown"
    figures = f"pixel AP {mean(synthetic):.3f} against {mean(real):.3f} with real data alone"
    sentence = f"{SAYINGS[outcome].format(generator)}: {figures}, difference {mean(gains):+.3f} ({seeds})."
    return {"outcome": outcome, "sentence": sentence}


def not_applicable(reason: str) -> dict[str, str]:
    """Return the verdict where there is nothing to compare, with the reason."""
    return {"outcome": "not_applicable", "sentence": f"No comparison: {reason}."}
