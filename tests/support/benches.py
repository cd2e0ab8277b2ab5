"""Stand-ins for what trains and keeps: no training where training is not the point."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from rows import digest
from settings import small_detector

from pipeline_tasks.benefit.arms import Arm, Recipe
from pipeline_tasks.benefit.material import Material, Piece
from pipeline_tasks.detector_params import Detector
from pipeline_tasks.detectors.windows import Scene
from pipeline_tasks.measures.features import Activations, FeatureNetwork
from pipeline_tasks.measures.scored import Scored, score_image
from pipeline_tasks.measures.views import Views
from pipeline_tasks.schema import GOOD, Sample
from pipeline_tasks.seeds import derive_seed

REAL, FLIP, CLASSIC = (Arm("real", 0, policy) for policy in ("none", "flip", "classic"))
PASTE, MADE = Arm("paste", 50, "flip"), Arm("inpainting", 50, "flip")
SIDE = 16
MARKED = np.s_[4:9, 5:10]


class MemoryShelf:
    """`Shelf` of benefit/trainings.py in memory; `made` tells what had to be made, in order."""

    def __init__(self, kill_after: int | None = None) -> None:
        self.kept: dict[str, Any] = {}
        self.made: list[str] = []
        self.kill_after = kill_after

    def arrays(self, key: str, make: Callable[[], Any]) -> Any:
        """Return what is kept, or make it; KeyboardInterrupt instead of keeping more than `kill_after` things."""
        if key not in self.kept:
            made = make()
            if len(self.made) == self.kill_after:
                raise KeyboardInterrupt
            self.kept[key] = made
            self.made.append(key)
        return self.kept[key]

    seconds = arrays


def scene(shape: tuple[int, int] = (SIDE, SIDE), grey: int = 120, defect: Any = MARKED) -> Scene:
    """Return a plain scene whose pixels `defect`, None for none, are marked."""
    mask = np.zeros(shape, bool)
    if defect is not None:
        mask[defect] = True
    return Scene(np.full((*shape, 3), grey, np.uint8), mask, float(grey), 0.0)


def piece(defect: str, path: str, *origins: str, derived_from: str | None = None, shown: Scene | None = None) -> Piece:
    """Return a piece that comes from `origins`, by default from itself."""
    known = frozenset(origins or [one for one in (path, derived_from) if one])
    shown = shown or scene(defect=None if defect == GOOD else MARKED)
    return Piece(shown, defect, path, known, digest(path), derived_from)


def graded(path: str, defect: str, grade: float, seed: int) -> Scored:
    """Return the scores of an image whose marked pixels stand out by `grade`; the noise is the same for every grade."""
    mask = np.zeros((SIDE, SIDE), bool)
    mask[MARKED] = defect != GOOD
    noise = np.random.default_rng(derive_seed(seed, path)).normal(-2, 1, mask.shape)
    return score_image(path, defect, (noise + grade * mask).astype(np.float32), mask)


@dataclass
class GradedBench:
    """`Bench` that trains nothing; `grade` says how well an arm finds the defect on an image of that path."""

    grade: Callable[[Arm, str], float]
    params: Detector = field(default_factory=small_detector)
    kind: str = "unet"
    training_seconds: float = 1.0
    steps_of: Mapping[str, int] = field(default_factory=dict)
    calls: list[tuple[Material, Recipe, int, list[str]]] = field(default_factory=list)

    def scores(self, material: Material, recipe: Recipe, seed: int, images: Sequence[Sample]) -> list[Scored]:
        """See Bench; what it is asked for is in `calls`."""
        self.calls.append((material, recipe, seed, [image.source_path for image in images]))
        arms = {GOOD: FLIP, **recipe}
        return [
            graded(one.source_path, one.defect, self.grade(arms[one.defect], one.source_path), seed) for one in images
        ]

    def seconds(self, *_: object) -> float:
        """See Bench."""
        return self.training_seconds

    def steps(self, material: Material, recipe: Recipe) -> int:
        """See Bench: as `steps_of` says of the source of the first defect's arm."""
        return self.steps_of.get(next(iter(recipe.values())).source, 10)


class Guesses(GradedBench):
    """A `Bench` with a classifier that is right about as many of the first images as `grade` says of the first arm."""

    def arrays(self, material: Material, recipe: Recipe, seed: int, images: Sequence[Sample]) -> dict[str, Any]:
        """See Bench."""
        self.calls.append((material, recipe, seed, [image.source_path for image in images]))
        classes, hits = [*sorted(recipe), GOOD], self.grade(next(iter(recipe.values())), "")
        shown = [classes.index(image.defect) for image in images]
        given = [(index + (number >= hits)) % len(classes) for number, index in enumerate(shown)]
        return {"probabilities": np.eye(len(classes))[given], "classes": np.array(classes)}


def brightness() -> FeatureNetwork:
    """Return a network whose features are the means of a view's channels: it need not be trained."""

    def activate(views: Views) -> Activations:
        return Activations(torch.from_numpy(views.mean(axis=(1, 2))).float())

    return FeatureNetwork("brightness", activate)


def grouped(samples: Sequence[Sample], *numbers: int) -> list[Sample]:
    """Return the samples, those at `numbers` as shots of one part."""
    group = min(samples[number].source_path for number in numbers)
    return [replace(one, group=group) if number in numbers else one for number, one in enumerate(samples)]
