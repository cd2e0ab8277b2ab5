"""Retrain: a detector on the base set and the mixture that the champion data set recommends.

It stands outside dvc.yaml, as publish does: what it trains on and what it compares with is whatever is champion in
MLflow, which no dvc.lock names, and a run-cache must not skip what it writes there.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pipeline_tasks.benefit.arms import Arm, Recipe
from pipeline_tasks.benefit.crossing import Crossing
from pipeline_tasks.benefit.gate import Ruling
from pipeline_tasks.benefit.gathering import gather
from pipeline_tasks.benefit.material import Material, digest_of
from pipeline_tasks.benefit.trainings import Bench
from pipeline_tasks.benefit_params import INCUMBENT, Choose
from pipeline_tasks.detector_params import Detector
from pipeline_tasks.detectors.kinds import Localiser, LocaliserKind, train_localiser
from pipeline_tasks.detectors.windows import open_scene
from pipeline_tasks.measures.comparison import compare
from pipeline_tasks.measures.scored import Scored, localisation_scores, over_seeds, score_image
from pipeline_tasks.params import Perlin
from pipeline_tasks.quality.leakage import hold_out
from pipeline_tasks.schema import GOOD, IDENTITY, Pair, Sample
from pipeline_tasks.seeds import derive_seed
from pipeline_tasks.stages.detector_gate import rule

UNSHOWN = "no defect is shown by two parts or more, one to learn from and one to be left out"
Pairs = Mapping[str, Callable[[], Iterable[Pair]]]
"""What reads or makes the pairs of each source."""


@dataclass(frozen=True)
class Ground:
    """A product's real images, and how the base ones are cut into folds."""

    product: str
    base: Sequence[Sample]
    test: Sequence[Sample]
    choose: Choose
    perlin: Perlin
    seed: int

    @property
    def defects(self) -> list[str]:
        """The defects that the base set shows."""
        return sorted({sample.defect for sample in self.base} - {GOOD})


@dataclass(frozen=True)
class Lesson:
    """What a detector is trained with: its settings, an arm for each defect, and what these draw on."""

    settings: Detector
    generator: str
    recipe: Recipe
    material: Material

    @property
    def arms(self) -> dict[str, str]:
        """What each defect is trained with, by the arm's spelling."""
        return {defect: str(arm) for defect, arm in sorted(self.recipe.items())}

    @property
    def base_digest(self) -> str:
        """SHA-256 (hex) of the base images, as in data/choice."""
        return digest_of(self.material.real)

    def digest(self, kind: LocaliserKind, seed: int) -> str:
        """Return the SHA-256 (hex) of all that decides what a detector of this kind learns, by content."""
        content = digest_of([*self.material.real, *self.material.ingredients(self.recipe)])
        parts = [kind, seed, self.arms, self.settings.settings_of(kind), content]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Champion:
    """The present champion: its number in MLflow, the version of the data set and the base images it learned from."""

    number: str
    version: str
    base_digest: str
    localiser: Localiser


@dataclass(frozen=True)
class Rival:
    """What a new detector is compared with: the champion's lesson on the present base set, or else the incumbent's."""

    lesson: Lesson
    champion: Champion | None


@dataclass(frozen=True)
class Retrained:
    """A trained detector, everything that was measured of it as JSON values, and what the gate makes of it."""

    localiser: Localiser
    record: dict[str, Any]
    ruling: Ruling


def prepare(ground: Ground, settings: Detector, generator: str, arms: Mapping[str, str], pairs: Pairs) -> Lesson:
    """Return what `arms`, by defect, draw on: the incumbent for a defect of the base set that they do not name.

    Raises LeakageError naming the sample of the wrong split, or the base sample or pair that comes from a test sample.
    """
    held_out = hold_out(ground.base, ground.test, "retrain")
    recipe = {defect: Arm.read(arms.get(defect, INCUMBENT), generator) for defect in ground.defects}
    guarded = {source: partial(held_out.of_pairs, read) for source, read in pairs.items()}
    wanted, most = list(dict.fromkeys(recipe.values())), ground.choose.pairs_per_arm
    material = gather(ground.base, guarded, wanted, ground.perlin, settings, most, ground.seed)
    return Lesson(settings, generator, recipe, material)


def run(ground: Ground, kind: LocaliserKind, ours: Lesson, rival: Rival, bench: Bench, seed: int) -> Retrained:
    """Compare a lesson with its rival on folds of the base set, then train a detector on all of it, from `seed`.

    bench: trains detectors of that kind, whatever its settings. The test split is scored for the report alone, by the
    new detector and by the champion.
    """
    record = _compared(ground, kind, ours, rival, bench, seed)
    ruling = rule(record)
    trained = _train(kind, ours, derive_seed(seed, ground.product, kind))
    bench.advance()
    theirs = rival.champion and _tested(rival.champion.localiser, ground.test)
    tested = {"ours": _tested(trained, ground.test), "theirs": theirs}
    return Retrained(trained, record | {"samples": _identified(ground.base), "test": tested}, ruling)


def judge(ground: Ground, kind: LocaliserKind, ours: Lesson, rival: Rival, bench: Bench, seed: int) -> Ruling:
    """Return what the gate makes of a detector that has learned this lesson before, against the rival of today."""
    return rule(_compared(ground, kind, ours, rival, bench, seed))


def _compared(
    ground: Ground, kind: LocaliserKind, ours: Lesson, rival: Rival, bench: Bench, seed: int
) -> dict[str, Any]:
    """Return what is trained on and what that scores on folds of the base set, as JSON values."""
    crossing = _crossing(ground, ours, bench)
    return {
        "product": ground.product,
        "kind": kind,
        "generator": ours.generator,
        "arms": ours.arms,
        "synthetic": dict(sorted(Counter(piece.defect for piece in ours.material.ingredients(ours.recipe)).items())),
        "seed": seed,
        "base": _counted(ground.base),
        "test_images": _counted(ground.test),
        "folds": crossing.folds if crossing.defects else 0,
        "repeats": ground.choose.repeats,
        "confidence": ground.choose.confidence,
        "against": _described(kind, ours, rival),
        "out_of_fold": _out_of_fold(ground, ours, rival.lesson, bench),
    }


def metrics(record: Mapping[str, Any]) -> dict[str, float]:
    """Return the pixel AP out of fold and the scores on the test split of a `record`, by name, for MLflow."""
    kind, ours = record["kind"], record["out_of_fold"]["ours"]
    scores = {f"{kind}/out_of_fold/pixel_ap": ours and ours["pixel_ap"] and ours["pixel_ap"]["mean"]}
    for who, tested in record["test"].items():
        way = {"ours": f"{kind}/test", "theirs": f"{kind}/test_of_champion"}[who]
        by_defect = {"": tested, **{f"/{d}": its for d, its in tested["per_defect"].items()}} if tested else {}
        for defect, its in by_defect.items():
            scores |= {f"{way}{defect}/{name}": value for name, value in its.items() if name != "per_defect"}
    return {name: value for name, value in scores.items() if value is not None}


def _train(kind: LocaliserKind, lesson: Lesson, seed: int) -> Localiser:
    real, mixes = lesson.material.scenes(), lesson.material.mixes(lesson.recipe)
    return train_localiser(kind, real, mixes, lesson.settings, seed, lambda: None)


def _counted(samples: Iterable[Sample]) -> dict[str, int]:
    return dict(sorted(Counter(sample.defect for sample in samples).items()))


def _identified(learned: Iterable[Sample]) -> list[dict[str, str | None]]:
    """Return the real samples that a detector learned from, so that those of a withdrawn one can be found."""
    ordered = sorted(learned, key=lambda sample: sample.source_path)
    return [{name: getattr(sample, name) for name in IDENTITY} for sample in ordered]


def _described(kind: LocaliserKind, ours: Lesson, rival: Rival) -> dict[str, Any]:
    """Return what the detector is compared with; number, version: None without a champion."""
    lesson, champion = rival.lesson, rival.champion
    return {
        "number": champion and champion.number,
        "version": champion and champion.version,
        "generator": lesson.generator,
        "arms": lesson.arms,
        "same_mixture": ours.digest(kind, 0) == lesson.digest(kind, 0),
        "same_base": champion is None or champion.base_digest == ours.base_digest,
    }


def _out_of_fold(ground: Ground, ours: Lesson, theirs: Lesson, bench: Bench) -> dict[str, Any]:
    """Return the pixel AP of both on left-out images, pooled over all defects and by defect, for each repeat."""
    crossings = [_crossing(ground, lesson, bench) for lesson in (ours, theirs)]
    defects = crossings[0].defects
    if not defects:
        return {"ours": None, "theirs": None, "against": None, "unmeasured": UNSHOWN}
    repeats = ground.choose.repeats
    runs = [crossing.scores(lesson.recipe, repeats) for crossing, lesson in zip(crossings, (ours, theirs), strict=True)]
    seed = derive_seed(ground.seed, "bootstrap", *defects)
    confidence, draws = ground.choose.confidence, ground.choose.draws
    found = compare(runs[0], runs[1], defects, crossings[0].part_of, seed, confidence, draws)
    return {
        "ours": _by_repeat(runs[0], defects),
        "theirs": _by_repeat(runs[1], defects),
        "against": found and {**found.figures(), "per_run": list(found.per_run)},
        "unmeasured": "" if found else "the base images show no defect pixel",
    }


def _crossing(ground: Ground, lesson: Lesson, bench: Bench) -> Crossing:
    settled = replace(bench, params=lesson.settings)
    return Crossing(ground.choose, ground.seed, ground.product, ground.base, lesson.material, settled)


def _by_repeat(runs: Sequence[Sequence[Scored]], defects: Sequence[str]) -> dict[str, Any]:
    def spread(some: Sequence[str]) -> dict[str, Any] | None:
        return over_seeds([{"pixel_ap": localisation_scores(run, some)["pixel_ap"]} for run in runs])["pixel_ap"]

    return {"pixel_ap": spread(defects), "per_defect": {defect: spread([defect]) for defect in defects}}


def _tested(localiser: Localiser, test: Sequence[Sample]) -> dict[str, Any]:
    """Return every score of a detector on the test images, and by defect."""
    opened = ((image, open_scene(image.image, image.mask, localiser.max_image_px)) for image in test)
    scored = [score_image(i.source_path, i.defect, localiser.score_map(scene), scene.mask) for i, scene in opened]
    defects = sorted({image.defect for image in test} - {GOOD})
    by_defect = {defect: localisation_scores(scored, [defect]) for defect in defects}
    return {**localisation_scores(scored, defects), "per_defect": by_defect}
