"""What to train each defect with, from scores on folds of the base set (METHODS section 5, choice).

The incumbent is real images with flips. Another arm takes its place only if it beats every real arm in every repeat and
the bootstrap over left-out images gives that at least the asked-for probability. A generator has seen the left-out
images while it was trained, pasting has not, and pasting's gain predicts a generator's: unless pasting was measured and
gains, too, a generator's gain is not believed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pipeline_tasks.benefit.arms import PASTE, Arm
from pipeline_tasks.benefit.simulated import SIMULATED
from pipeline_tasks.benefit_params import INCUMBENT, Choose
from pipeline_tasks.measures.comparison import Comparison, compare
from pipeline_tasks.measures.scored import Scored, localisation_scores
from pipeline_tasks.seeds import derive_seed

NO_DIFFERENCE = Comparison(0.0, 0.0, 0.0, 0.5, (0.0,))
"""Between arms scored on images without a defect pixel."""
Outcome = Literal["synthesis", "paste only", "no synthesis", "undecidable"]
Repeats = Sequence[Sequence[Scored]]
"""Scores of the left-out images, pooled over the folds, for each repeat: same images, same order for every arm."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a defect is trained with and why; `against`: the winner, or the best loser, against `best_real`."""

    outcome: Outcome
    arm: Arm
    reason: str
    best_real: Arm
    against: Comparison | None = None


@dataclass(frozen=True)
class Judge:
    """Compares arms on the same left-out images. groups: path -> shots of one part, which count as one image."""

    scored: Mapping[Arm, Repeats]
    groups: Mapping[str, str]
    params: Choose
    seed: int
    _means: dict[tuple[Arm, tuple[str, ...]], float] = field(default_factory=dict)

    def average_precisions(self, arm: Arm, defects: Sequence[str]) -> list[float]:
        """Return the pixel AP pooled over all left-out images of `defects` and the normal ones, for each repeat."""
        return [localisation_scores(repeat, defects)["pixel_ap"] or 0.0 for repeat in self.scored[arm]]

    def mean(self, arm: Arm, defects: Sequence[str]) -> float:
        """Return the mean of the repeats' pooled pixel APs."""
        key = arm, tuple(defects)
        if key not in self._means:
            values = self.average_precisions(arm, defects)
            self._means[key] = sum(values) / len(values)
        return self._means[key]

    def best_real(self, defect: str) -> Arm:
        """Return the real arm with the highest mean for a defect."""
        return max((arm for arm in self.scored if arm.is_real), key=lambda arm: self.mean(arm, [defect]))

    def against(self, ours: Arm, theirs: Arm, defects: Sequence[str]) -> Comparison:
        """Return the paired comparison of two arms."""
        seed, params = derive_seed(self.seed, "bootstrap", *defects), self.params
        runs = self.scored[ours], self.scored[theirs]
        return compare(*runs, defects, self.groups, seed, params.confidence, params.draws) or NO_DIFFERENCE

    def convinces(self, found: Comparison) -> bool:
        """Whether a gain shows in every repeat, of two or more, and is probable enough."""
        runs = found.per_run
        return len(runs) >= 2 and min(runs) > 0 and found.probability >= self.params.confidence


def decide(judge: Judge, defect: str) -> Decision:
    """Return what to train `defect` with."""
    incumbent = next(arm for arm in judge.scored if str(arm) == INCUMBENT)
    defects, best = [defect], judge.best_real(defect)
    highest = max(judge.mean(arm, defects) for arm in judge.scored)
    if highest < judge.params.min_ap:
        reason = (
            f"The best arm reaches a pixel AP of {highest:.3f} on left-out images, below {judge.params.min_ap:g}: "
            "the detector hardly finds this defect, so that differences between arms say nothing."
        )
        return Decision("undecidable", incumbent, reason, best)
    real = _winner(judge, defects, [arm for arm in judge.scored if arm.is_real], incumbent)
    made = [arm for arm in judge.scored if not arm.is_real]
    if not made:
        return Decision("no synthesis", real, "No synthetic arm was measured.", best)
    tried = {arm: judge.against(arm, best, defects) for arm in made}
    winners = [arm for arm in made if _unbeaten(judge, arm, defects) is None and not _doubted(arm, tried)]
    if not winners:
        nearest = max(made, key=lambda arm: judge.mean(arm, defects))
        reason = _why_not(judge, nearest, best, tried, defects)
        return Decision("no synthesis", real, reason, best, tried[nearest])
    arm = max(winners, key=lambda arm: judge.mean(arm, defects))
    outcome: Outcome = "paste only" if arm.source == PASTE else "synthesis"
    reason = f"{arm} beats every real arm in every repeat; against {best}, the best one: {_figures(tried[arm])}."
    return Decision(outcome, arm, reason, best, tried[arm])


def _winner(judge: Judge, defects: Sequence[str], arms: Sequence[Arm], incumbent: Arm) -> Arm:
    """Return the best of real `arms` that convincingly beats the incumbent, or the incumbent."""
    better = [arm for arm in arms if arm != incumbent and judge.convinces(judge.against(arm, incumbent, defects))]
    return max(better, key=lambda arm: judge.mean(arm, defects), default=incumbent)


def _unbeaten(judge: Judge, arm: Arm, defects: Sequence[str]) -> Arm | None:
    """Return a real arm that a synthetic one does not convincingly beat; None if there is none."""
    reals = (other for other in judge.scored if other.is_real)
    return next((real for real in reals if not judge.convinces(judge.against(arm, real, defects))), None)


def _doubted(arm: Arm, tried: Mapping[Arm, Comparison]) -> bool:
    """Whether a generator's arm gains where pasting, which has not seen the left-out images, is not known to."""
    pasted = (found.difference for other, found in tried.items() if other.source == PASTE)
    return arm.source not in (PASTE, *SIMULATED) and max(pasted, default=0.0) <= 0


def _why_not(judge: Judge, nearest: Arm, best: Arm, tried: Mapping[Arm, Comparison], defects: Sequence[str]) -> str:
    figures = f"The best synthetic arm is {nearest}, against {best}: {_figures(tried[nearest])}."
    if len(tried[nearest].per_run) < 2:
        return f"{figures} One repeat of the folds decides nothing."
    unbeaten = _unbeaten(judge, nearest, defects)
    if unbeaten is None:
        return f"{figures} The generator has seen the left-out images, and pasting shows no gain: this is not believed."
    if judge.convinces(tried[nearest]):
        figures += f" But against {unbeaten}: {_figures(judge.against(nearest, unbeaten, defects))}."
    least = judge.params.confidence
    return f"{figures} A switch takes a gain over every real arm in every repeat, and a probability of {least:g}."


def _figures(found: Comparison) -> str:
    runs = ", ".join(f"{gain:+.3f}" for gain in found.per_run)
    return (
        f"pixel AP {found.difference:+.3f} (interval {found.low:+.3f} to {found.high:+.3f}, by repeat {runs}, "
        f"probability {found.probability:.2f})"
    )
