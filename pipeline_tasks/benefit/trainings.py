"""Train on a recipe and score images, once: what was scored before, for the same content, is looked up."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.benefit.arms import Recipe
from pipeline_tasks.benefit.material import Material, content_of, digest_of
from pipeline_tasks.detector_params import Detector
from pipeline_tasks.detectors.budget import Kind, count_images, steps_of
from pipeline_tasks.detectors.classifier import train_classifier
from pipeline_tasks.detectors.kinds import train_localiser
from pipeline_tasks.detectors.windows import open_scene
from pipeline_tasks.measures.scored import Scored, pack, score_image, unpack
from pipeline_tasks.schema import Sample

Arrays = Mapping[str, NDArray[Any]]


class Shelf(Protocol):
    """Keeps results by content over runs, so that a killed run resumes and the next one repeats nothing."""

    def arrays(self, key: str, make: Callable[[], Arrays]) -> Arrays:
        """Return what is kept under `key`, made if it is not there."""

    def seconds(self, key: str, measure: Callable[[], float]) -> float:
        """Return the duration kept under `key`, measured if it is not there: plans stay the same when resumed."""


@dataclass(frozen=True)
class Bench:
    """Trains and scores with one kind of detector. clock: seconds of CPU time, only to plan by."""

    params: Detector
    kind: Kind
    shelf: Shelf
    clock: Callable[[], float]
    advance: Callable[[], object]

    def scores(self, material: Material, recipe: Recipe, seed: int, images: Sequence[Sample]) -> list[Scored]:
        """Return the scores of `images` by a localiser trained on `material` as the recipe says, from `seed`."""
        return unpack(self.arrays(material, recipe, seed, images))

    def arrays(self, material: Material, recipe: Recipe, seed: int, images: Sequence[Sample]) -> Arrays:
        """Return the same as arrays; of a classifier, `probabilities` [N, C] and the names of its `classes` [C]."""
        key = self._key(material, recipe, seed, images)
        found = self.shelf.arrays(key, lambda: self._make(material, recipe, seed, images))
        self.advance()
        return found

    def seconds(self, material: Material, recipe: Recipe, seed: int, images: Sequence[Sample]) -> float:
        """Return how long `arrays` takes where nothing is kept: measured once, then kept itself, as its result is."""
        took: list[float] = []

        def make() -> Arrays:
            before = self.clock()
            made = self._make(material, recipe, seed, images)
            took.append(self.clock() - before)
            return made

        def measure() -> float:
            self.shelf.arrays(self._key(material, recipe, seed, images), make)
            if not took:  # kept by a run that was killed before it could keep the duration
                make()
            return took[0]

        return self.shelf.seconds(_digest(self.kind, self._settings, str(len(images))), measure)

    def steps(self, material: Material, recipe: Recipe) -> int:
        """Return the optimiser steps of a training: with the papers' budget, an arm with more images takes more."""
        images = count_images(self.kind, material.scenes(), material.mixes(recipe))
        return steps_of(self.kind, self.params, images)

    def _make(self, material: Material, recipe: Recipe, seed: int, images: Sequence[Sample]) -> Arrays:
        learned = material.scenes(), material.mixes(recipe), self.params, seed, _uncounted
        opened = (open_scene(image.image, image.mask, self.params.max_image_px) for image in images)
        if self.kind == "classifier":
            classifier = train_classifier(*learned)
            return {"probabilities": classifier.probabilities(list(opened)), "classes": np.array(classifier.classes)}
        detector = train_localiser(self.kind, *learned)
        both = zip(images, opened, strict=True)
        return pack([score_image(i.source_path, i.defect, detector.score_map(s), s.mask) for i, s in both])

    def _key(self, material: Material, recipe: Recipe, seed: int, images: Sequence[Sample]) -> str:
        arms = ",".join(f"{defect}:{arm}" for defect, arm in sorted(recipe.items()))
        content = digest_of([*material.real, *material.ingredients(recipe)])
        targets = ",".join(f"{image.source_path}:{content_of(image.image, image.mask)}" for image in images)
        return _digest(self.kind, self._settings, arms, str(seed), content, targets)

    @property
    def _settings(self) -> str:
        return json.dumps(self.params.settings_of(self.kind), sort_keys=True)


def _uncounted() -> None:
    """Progress is told by trainings, not by steps."""


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
