"""Choose: what to train each defect with, by cross-validation on the base set alone (METHODS section 5, choice)."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pipeline_tasks.benefit.arms import CHOSEN, Arm, Recipe, read_arms
from pipeline_tasks.benefit.crossing import Crossing
from pipeline_tasks.benefit.decision import Decision, Judge, decide
from pipeline_tasks.benefit.gathering import available, gather
from pipeline_tasks.benefit.material import Material, digest_of
from pipeline_tasks.benefit.plan import Plan, fit
from pipeline_tasks.benefit.trainings import Bench
from pipeline_tasks.benefit_params import INCUMBENT, Choose
from pipeline_tasks.measures.comparison import Comparison
from pipeline_tasks.measures.scored import Scored, over_seeds
from pipeline_tasks.params import Perlin
from pipeline_tasks.schema import Pair, Sample
from pipeline_tasks.splits.guard import of_base


def run(
    params: Choose,
    perlin: Perlin,
    seed: int,
    product: str,
    generator: str,
    base: Iterable[Sample],
    pairs: Mapping[str, Callable[[], Iterable[Pair]]],
    bench: Bench,
) -> dict[str, Any]:
    """Return, as JSON values, what to train each defect of `product` with, and what that gains on left-out images.

    base: base samples. pairs: by source, of `generator` and pasted ones. A synthetic defect is used only where none of
    the images that it comes from is left out. A detector of all defects is trained for every arm, fold and repeat; each
    defect is decided on its own images and the normal ones. Where defects are trained differently, that mixture is
    measured too. Raises LeakageError naming a sample of another split.
    """
    samples = list(of_base(base, "choose"))
    arms = read_arms(params.arms, generator)
    material = gather(samples, pairs, arms, perlin, bench.params, params.pairs_per_arm, seed)
    result = _setting(params, product, generator, samples, material, bench)
    crossing = Crossing(params, seed, product, samples, material, bench)
    hopeless = crossing.undecidable()
    given, missing = available(arms, material)
    incumbent = Arm.read(INCUMBENT, generator)
    fallback = {defect: _unmeasured(reason, incumbent) for defect, reason in hopeless.items()}
    if not crossing.defects:
        reason = "No defect is shown by two parts or more, one to learn from and one to be left out."
        return result | {"left_out": missing, "arms": {}, "defects": fallback, "lift": None, "reason": reason}
    plan = _plan(crossing, sorted(given, key=lambda arm: arm != incumbent))
    scored = {arm: crossing.scores(dict.fromkeys(material.defects, arm), plan.rounds) for arm in plan.arms}
    judge = Judge(scored, crossing.part_of, params, seed)
    decisions = {defect: decide(_of_defect(judge, material, defect), defect) for defect in crossing.defects}
    chosen: Recipe = {d: decisions[d].arm if d in decisions else incumbent for d in material.defects}
    return result | {
        "folds": crossing.folds,
        "repeats": plan.rounds,
        "left_out": [*missing, *plan.left_out],
        "arms": {str(arm): _scores(judge, arm, crossing.defects) for arm in scored},
        "defects": {**fallback, **{d: _described(decision) for d, decision in decisions.items()}},
        "lift": _lift(judge, crossing, chosen, decisions, plan.rounds),
        "reason": "",
    }


def _plan(crossing: Crossing, arms: Sequence[Arm]) -> Plan[Arm]:
    """Return what there is time for of `arms`, the incumbent first.

    Where defects may end up trained differently, time is set aside for that mixture and one of their best real arms.
    """
    params, defects = crossing.params, crossing.material.defects
    recipes = {arm: dict.fromkeys(defects, arm) for arm in arms}
    seconds = crossing.seconds(recipes[arms[0]]) if params.budget_minutes else 0.0
    steps = {arm: crossing.effort(recipe) for arm, recipe in recipes.items()}

    def cost(kept: Sequence[Arm]) -> float:
        real, made = ([steps[arm] for arm in kept if arm.is_real is is_real] for is_real in (True, False))
        mixtures = max(made) + (max(real) if len(real) > 1 else 0) if made and len(defects) > 1 else 0
        return (sum(real) + sum(made) + mixtures) / steps[arms[0]]

    return fit(arms, params.repeats, "repeat", 2, seconds, params.budget_minutes, cost)


def _setting(
    params: Choose, product: str, generator: str, base: Sequence[Sample], material: Material, bench: Bench
) -> dict[str, Any]:
    made = [piece for source in sorted(material.made) for piece in material.made[source]]
    return {
        "product": product,
        "generator": generator,
        "detector": bench.kind,
        "incumbent": INCUMBENT,
        "folds": 0,
        "repeats": 0,
        "confidence": params.confidence,
        "min_ap": params.min_ap,
        "base": dict(sorted(Counter(sample.defect for sample in base).items())),
        "base_digest": digest_of(material.real),
        "pairs_digest": digest_of(made),
    }


def _of_defect(judge: Judge, material: Material, defect: str) -> Judge:
    """Return the judge of the arms that there is material of this defect for: others differ by other defects alone."""
    return replace(judge, scored={arm: runs for arm, runs in judge.scored.items() if material.has(arm, defect)})


def _scores(judge: Judge, arm: Arm, defects: Sequence[str]) -> dict[str, Any]:
    def over_repeats(some: Sequence[str]) -> dict[str, Any] | None:
        return over_seeds([{"pixel_ap": value} for value in judge.average_precisions(arm, some)])["pixel_ap"]

    return {
        "pixel_ap": over_repeats(defects),
        "per_defect": {defect: over_repeats([defect]) for defect in defects},
    }


def _unmeasured(reason: str, incumbent: Arm) -> dict[str, Any]:
    return _described(Decision("undecidable", incumbent, reason, incumbent))


def _described(decision: Decision) -> dict[str, Any]:
    arm, found = decision.arm, decision.against
    return {
        "outcome": decision.outcome,
        "arm": str(arm),
        "backend": None if arm.is_real else arm.source,
        "ratio": arm.ratio,
        "augmentation": arm.policy,
        "best_real": str(decision.best_real),
        "reason": decision.reason,
        **_figures(found),
    }


def _figures(found: Comparison | None) -> dict[str, float | None]:
    names = {"gain": "difference", "low": "low", "high": "high", "probability": "probability"}
    return {ours: None if found is None else getattr(found, theirs) for ours, theirs in names.items()}


def _lift(
    judge: Judge, crossing: Crossing, chosen: Recipe, decisions: Mapping[str, Decision], repeats: int
) -> dict[str, Any] | None:
    """Return the gain of training as chosen over each defect's best real arm, over all defects and for each.

    None where what was chosen is real images for every defect.
    """
    if all(arm.is_real for arm in chosen.values()):
        return None
    real: Recipe = {d: decisions[d].best_real if d in decisions else chosen[d] for d in chosen}
    ours, mixture = _mixture(judge, crossing, chosen, CHOSEN, repeats)
    theirs, baseline = _mixture(judge, crossing, real, "best_real", repeats)
    both = replace(judge, scored={ours: mixture, theirs: baseline})
    found = both.against(ours, theirs, crossing.defects)
    return {
        "arm": CHOSEN,
        "best_real": str(theirs) if theirs in judge.scored else "the best real arm of each defect",
        "gains": list(found.per_run),
        **_figures(found),
        "per_defect": {d: _figures(both.against(ours, theirs, [d])) for d in crossing.defects},
    }


def _mixture(
    judge: Judge, crossing: Crossing, recipe: Recipe, name: str, repeats: int
) -> tuple[Arm, Sequence[Sequence[Scored]]]:
    """Return what a recipe scores, and the arm that it is; one called `name` where defects are trained differently."""
    arms = list(set(recipe.values()))
    if len(arms) == 1 and arms[0] in judge.scored:
        return arms[0], judge.scored[arms[0]]
    return Arm(name, 0, "flip"), crossing.scores(recipe, repeats)
