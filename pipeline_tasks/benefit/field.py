"""Who competes, and on which images that none of them has learned from: arms side by side, over seeds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pipeline_tasks.benefit.arms import CHOSEN, Arm, Recipe
from pipeline_tasks.benefit.classification import classified_arms
from pipeline_tasks.benefit.folds import parts
from pipeline_tasks.benefit.localisation import by_image, curves, localised_arms
from pipeline_tasks.benefit.material import Material
from pipeline_tasks.benefit.plan import Plan, fit
from pipeline_tasks.benefit.trainings import Bench
from pipeline_tasks.benefit_params import INCUMBENT, Evaluate
from pipeline_tasks.detectors.kinds import describe
from pipeline_tasks.measures.scored import IMAGE_SCORES
from pipeline_tasks.schema import GOOD, Sample
from pipeline_tasks.seeds import derive_seed

LEAST_SEEDS = 3
"""Arms are left out before fewer seeds are: seeds alone move scores by as much as arms do (METHODS section 5)."""
Run = TypeVar("Run")


@dataclass(frozen=True)
class Result:
    """What one detector scores for every arm, CHOSEN among them, as JSON values.

    seeds: those that the budget had time for; left_out: sentences on what it had not. images, curves: of a localiser,
    what CHOSEN scores on each image with the first seed, and the points of each arm's precision-recall curve.
    """

    about: Mapping[str, Any]
    reasons: Mapping[str, str]
    arms: Mapping[str, Any]
    seeds: Sequence[int]
    left_out: Sequence[str]
    images: Sequence[Mapping[str, Any]] = field(default_factory=list)
    curves: Sequence[Mapping[str, Any]] = field(default_factory=list)

    def described(self) -> dict[str, Any]:
        """Return what the report says of the detector."""
        return {"about": self.about, "reasons": self.reasons, "arms": self.arms, "seeds": list(self.seeds)}


def recipes(arms: Sequence[Arm], chosen: Recipe, defects: Sequence[str]) -> dict[str, Recipe]:
    """Return what each arm trains every defect with, by name: the incumbent, then CHOSEN, then the others in order."""
    uniform = {str(arm): dict.fromkeys(defects, arm) for arm in arms}
    return {INCUMBENT: uniform.pop(INCUMBENT), CHOSEN: chosen, **uniform}


@dataclass(frozen=True)
class Field:
    """The arms by name, what each trains with, and the test images."""

    params: Evaluate
    seed: int
    entries: Mapping[str, Recipe]
    test: Sequence[Sample]

    def localise(self, bench: Bench, material: Material) -> Result:
        """Train a localiser for every arm and seed, and score its maps of the test images."""
        plan = self._plan(bench, material)
        runs = self._runs(plan, lambda recipe, seed: bench.scores(material, recipe, seed, self.test))
        defects = sorted({sample.defect for sample in self.test} - {GOOD})
        arms = localised_arms(runs, defects, parts(self.test), self.params, self.seed)
        images = by_image(runs[CHOSEN][0]) if CHOSEN in runs else []
        return self._result(bench, material, plan, arms, IMAGE_SCORES, images, curves(runs, defects))

    def classify(self, bench: Bench, material: Material) -> Result:
        """Train a classifier for every arm and seed, and score what it says of the test images."""
        plan = self._plan(bench, material)
        runs = self._runs(plan, lambda recipe, seed: bench.arrays(material, recipe, seed, self.test))
        arms = classified_arms(runs, self.test, parts(self.test), self.params, self.seed)
        return self._result(bench, material, plan, arms, ("image_auroc",))

    def _plan(self, bench: Bench, material: Material) -> Plan[str]:
        """Return what there is time for: every detector has a share of the budget; equal recipes are trained once."""
        params, incumbent, first = self.params, self.entries[INCUMBENT], self._seeds[self.params.seeds[0]]
        budget = params.budget_minutes / len(params.detectors)
        seconds = bench.seconds(material, incumbent, first, self.test) if budget else 0.0
        steps = {name: bench.steps(material, recipe) for name, recipe in self.entries.items()}

        def cost(names: Sequence[str]) -> float:
            trained = {frozenset(self.entries[name].items()): steps[name] for name in names}
            return sum(trained.values()) / steps[INCUMBENT]

        return fit(list(self.entries), len(params.seeds), "seed", LEAST_SEEDS, seconds, budget, cost)

    def _runs(self, plan: Plan[str], score: Callable[[Recipe, int], Run]) -> dict[str, list[Run]]:
        seeds = [self._seeds[number] for number in self.params.seeds[: plan.rounds]]
        return {name: [score(self.entries[name], seed) for seed in seeds] for name in plan.arms}

    @property
    def _seeds(self) -> dict[int, int]:
        return {number: derive_seed(self.seed, "detector", number) for number in self.params.seeds}

    def _result(
        self,
        bench: Bench,
        material: Material,
        plan: Plan[str],
        arms: Mapping[str, Any],
        of_normals: Sequence[str],
        *more: Sequence[Mapping[str, Any]],
    ) -> Result:
        has_normals = any(sample.defect == GOOD for sample in self.test)
        synthetic = {name: {"synthetic_images": len(material.ingredients(self.entries[name]))} for name in arms}
        return Result(
            describe(bench.kind, bench.params),
            {} if has_normals else dict.fromkeys(of_normals, "there are no normal test images"),
            {name: synthetic[name] | arm for name, arm in arms.items()},
            self.params.seeds[: plan.rounds],
            [f"{bench.kind}: {sentence}" for sentence in plan.left_out],
            *more,
        )
