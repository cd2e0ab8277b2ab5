"""What the defect is: what classifiers score for every arm, as JSON values (DefectSynth section V-A, DefectDiffu)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline_tasks.benefit.trainings import Arrays
from pipeline_tasks.benefit_params import INCUMBENT, Evaluate
from pipeline_tasks.detectors.labelled_images import DEFECT
from pipeline_tasks.measures.classes import classification_scores, predicted_classes
from pipeline_tasks.measures.comparison import compare_values
from pipeline_tasks.measures.scored import over_seeds
from pipeline_tasks.schema import Sample
from pipeline_tasks.seeds import derive_seed

Runs = Mapping[str, Sequence[Arrays]]
"""Probabilities for the test images of each arm and seed."""


def classified_arms(
    found: Runs, images: Sequence[Sample], groups: Mapping[str, str], params: Evaluate, seed: int
) -> dict[str, Any]:
    """Return every arm's scores over the test images, and its accuracy against the incumbent's."""
    return {name: _arm(name, found, images, groups, params, seed) for name in found}


def _arm(
    name: str, found: Runs, images: Sequence[Sample], groups: Mapping[str, str], params: Evaluate, seed: int
) -> dict[str, Any]:
    runs, difference = found[name], None
    if name != INCUMBENT:
        ours, theirs = (np.array([_hits(run, images) for run in found[arm]]) for arm in (name, INCUMBENT))
        places, draw = [(image.source_path, image.defect) for image in images], derive_seed(seed, "bootstrap")
        difference = compare_values(ours, theirs, places, groups, draw, params.confidence, params.draws)
    scores = over_seeds([_scores(run, images) for run in runs])
    return {**scores, "per_defect": {}, "against": difference and difference.figures()}


def _scores(run: Arrays, images: Sequence[Sample]) -> dict[str, float | None]:
    classes = run["classes"].tolist()
    return classification_scores(_truth(images, classes), run["probabilities"], classes)


def _hits(run: Arrays, images: Sequence[Sample]) -> list[float]:
    classes = run["classes"].tolist()
    both = zip(predicted_classes(run["probabilities"], classes), _truth(images, classes), strict=True)
    return [float(predicted == true) for predicted, true in both]


def _truth(images: Sequence[Sample], classes: Sequence[str]) -> list[str]:
    """Return the class of each image: its defect, or DEFECT where no class is named after it."""
    return [image.defect if image.defect in classes else DEFECT for image in images]
