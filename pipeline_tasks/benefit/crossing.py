"""Cross-validation: every base image is scored by detectors that have seen neither it nor anything made from it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from pipeline_tasks.benefit.arms import Recipe
from pipeline_tasks.benefit.folds import Fold, count_parts, make_folds, parts, scored_normals
from pipeline_tasks.benefit.material import Material
from pipeline_tasks.benefit.trainings import Bench
from pipeline_tasks.benefit_params import Choose
from pipeline_tasks.measures.scored import Scored
from pipeline_tasks.schema import Sample
from pipeline_tasks.seeds import derive_seed


@dataclass(frozen=True)
class Crossing:
    """The folds of a product's base set."""

    params: Choose
    seed: int
    product: str
    samples: Sequence[Sample]
    material: Material
    bench: Bench

    @cached_property
    def part_of(self) -> dict[str, str]:
        """The part that each base image shows."""
        return parts(self.samples)

    @cached_property
    def defects(self) -> list[str]:
        """The defects that two parts or more show."""
        shown = count_parts(self.material.real, self.part_of)
        return [defect for defect, number in shown.items() if number > 1]

    @property
    def folds(self) -> int:
        """How many folds a repeat has: fewer than asked for, where fewer parts show a defect."""
        return len(self._folds(0))

    def undecidable(self) -> dict[str, str]:
        """Return the other defects that have real or synthetic images, and why nothing can be told of them."""
        shown = count_parts(self.material.real, self.part_of)
        made = {piece.defect for pieces in self.material.made.values() for piece in pieces}
        return {
            defect: "One part shows it: it cannot be learned from and left out at once."
            if defect in shown
            else "There is no real image of it to measure with."
            for defect in sorted(made | set(shown))
            if defect not in self.defects
        }

    def seconds(self, recipe: Recipe) -> float:
        """Return how long one repeat of one arm takes, judged by the first fold."""
        first = self._folds(0)[0]
        one = self.bench.seconds(self.material.without(first.left_out), recipe, self._seed(0, 0), self._images(first))
        return one * len(self._folds(0))

    def effort(self, recipe: Recipe) -> int:
        """Return the optimiser steps of one training, judged by the whole base set."""
        return self.bench.steps(self.material, recipe)

    def scores(self, recipe: Recipe, repeats: int) -> list[list[Scored]]:
        """Return, for each repeat, the scores of all images that its folds leave out: the same ones, in one order."""
        every = (self._repeat(recipe, repeat) for repeat in range(repeats))
        return [sorted(scored, key=lambda one: one.source_path) for scored in every]

    def _repeat(self, recipe: Recipe, repeat: int) -> Iterator[Scored]:
        for number, fold in enumerate(self._folds(repeat)):
            material = self.material.without(fold.left_out)
            yield from self.bench.scores(material, recipe, self._seed(repeat, number), self._images(fold))

    def _folds(self, repeat: int) -> list[Fold]:
        real, params = self.material.real, self.params
        normals = scored_normals(real, params.normals, derive_seed(self.seed, self.product))
        seed = derive_seed(self.seed, self.product, "repeat", repeat)
        return make_folds(real, self.part_of, params.folds, normals, seed)

    def _seed(self, repeat: int, fold: int) -> int:
        return derive_seed(self.seed, self.product, "detector", repeat, fold)

    def _images(self, fold: Fold) -> list[Sample]:
        by_path = {sample.source_path: sample for sample in self.samples}
        return [by_path[path] for path in fold.scored]
