"""Does synthesis help? One arm against real data alone, paired over the seeds (METHODS section 5)."""

from collections.abc import Sequence
from statistics import mean, stdev


def judge(arm: str, real: Sequence[float], synthetic: Sequence[float]) -> dict[str, str]:
    """Compare the pixel APs of an arm with those of real data alone, seed by seed.

    'better' or 'worse' only if every seed says so and the mean difference exceeds its standard deviation over the
    seeds; 'undecided' otherwise, and always with one seed, which shows no spread.
    """
    gains = [ours - theirs for ours, theirs in zip(synthetic, real, strict=True)]
    gain, spread = mean(gains), stdev(gains) if len(gains) > 1 else None
    clear = spread is not None and abs(gain) > spread
    outcome = "undecided"
    if clear and min(gains) > 0:
        outcome = "better"
    elif clear and max(gains) < 0:
        outcome = "worse"
    return {"outcome": outcome, "sentence": _sentence(arm, outcome, real, synthetic, spread)}


def not_applicable(reason: str) -> dict[str, str]:
    """Return the verdict where there is nothing to compare, with the reason."""
    return {"outcome": "not_applicable", "sentence": f"No comparison: {reason}."}


def _sentence(
    arm: str, outcome: str, real: Sequence[float], synthetic: Sequence[float], spread: float | None
) -> str:
    words = {
        "better": "is better than real data alone",
        "worse": "is worse than real data alone",
        "undecided": "cannot be told from real data alone",
    }
    gain = mean(synthetic) - mean(real)
    seeds = f"± {spread:.3f} over {len(real)} seeds" if spread is not None else "one seed, no spread known"
    wins = sum(ours > theirs for ours, theirs in zip(synthetic, real, strict=True))
    return (
        f"{arm.replace('_', ' ').capitalize()} {words[outcome]}: pixel AP {mean(synthetic):.3f} against "
        f"{mean(real):.3f}, difference {gain:+.3f} ({seeds}), higher in {wins} of {len(real)}."
    )
