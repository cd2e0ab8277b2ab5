"""Evaluate: what pairs do for detectors on the real test split, for the report alone (METHODS section 5)."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pipeline_tasks.benefit.arms import CHOSEN, Arm, Recipe, read_arms
from pipeline_tasks.benefit.field import Field, recipes
from pipeline_tasks.benefit.gathering import available, gather
from pipeline_tasks.benefit.likeness import Likeness
from pipeline_tasks.benefit.material import Material, Piece, real_piece
from pipeline_tasks.benefit.trainings import Bench
from pipeline_tasks.benefit.verdict import judge, not_applicable
from pipeline_tasks.benefit_params import INCUMBENT, Evaluate
from pipeline_tasks.detector_params import Detector
from pipeline_tasks.detectors.budget import Kind
from pipeline_tasks.params import Perlin
from pipeline_tasks.quality.leakage import hold_out
from pipeline_tasks.schema import GOOD, Pair, Sample

HEADLINES: Mapping[Kind, str] = {"unet": "pixel_ap", "draem": "pixel_ap", "classifier": "accuracy"}
"""The score of each kind of detector that the verdict is on."""
WHOLE_PX = 100_000
"""More than any image has on a side: a classifier sees synthetic images whole, as it does real ones."""


@dataclass(frozen=True)
class Evaluation:
    """The result as JSON values, and the points of the headline detector's precision-recall curves."""

    result: dict[str, Any]
    curves: Sequence[Mapping[str, Any]]


def run(
    params: Evaluate,
    perlin: Perlin,
    seed: int,
    product: str,
    generator: str,
    base: Sequence[Sample],
    test: Sequence[Sample],
    pairs: Mapping[str, Callable[[], Iterable[Pair]]],
    choice: Mapping[str, Any],
    bench: Callable[[Kind], Bench],
    left_out: Sequence[str] = (),
) -> Evaluation:
    """Train every detector for every arm and seed on the whole base set, and score it on the real test split.

    pairs: by source, of `generator` and pasted ones. choice: what `choose` found; its mixture is an arm too. bench:
    trains the detector of that kind. Where there is nothing to compare, the verdict says why; it also names the defects
    `left_out`, which are learned on other products. Raises LeakageError naming the sample of the wrong split, or the
    base sample or pair that comes from a test sample.
    """
    held_out = hold_out(base, test, "evaluate")
    arms, chosen = read_arms(params.arms, generator), _chosen(choice, base, generator)
    detector = bench("unet").params
    guarded = {source: partial(held_out.of_pairs, read) for source, read in pairs.items()}
    shown = Arm(generator, 0, "none")  # what the generator made is looked at, whether an arm trains with it or not
    wanted = list(dict.fromkeys([*arms, *chosen.values(), shown]))
    ingredients = base, guarded, wanted, perlin
    material = gather(*ingredients, detector, params.pairs_per_arm, seed)
    given, missing = available(arms, material)
    setting = _setting(params, product, generator, detector.budget, base, test)
    if reason := _nothing_to_compare(material, test):
        nothing: dict[str, Any] = {"detectors": {}, "generation": {}, "embedding": None, "images": {}}
        verdict = _with_note(not_applicable(reason), product, left_out)
        return Evaluation(setting | nothing | {"left_out": missing, "verdict": verdict}, [])
    entries = recipes(given, chosen, material.defects)
    field = Field(params, seed, entries, sorted(test, key=lambda sample: sample.source_path))
    results = {
        kind: field.classify(
            bench(kind), gather(*ingredients, bench(kind).params, params.pairs_per_arm, seed, WHOLE_PX)
        )
        if kind == "classifier"
        else field.localise(bench(kind), material)
        for kind in params.detectors
    }
    likeness = Likeness(params.generation, detector, product, material, _pieces(test, detector), seed)
    head = results[params.detectors[0]]
    made = [name for name in map(str, (arm for arm in given if arm.source == generator)) if name in head.arms]
    verdict = judge(head.arms, entries[CHOSEN], _best_out_of_fold(made, choice), setting["headline"]["score"])
    result = setting | {
        "seeds": list(head.seeds),
        "left_out": [*missing, *(sentence for found in results.values() for sentence in found.left_out)],
        "detectors": {kind: found.described() for kind, found in results.items()},
        "generation": likeness.measures(generator),
        "embedding": likeness.embedding(),
        "images": {CHOSEN: head.images},
        "verdict": _with_note(verdict, product, left_out),
    }
    return Evaluation(result, head.curves)


def _pieces(test: Sequence[Sample], detector: Detector) -> list[Piece]:
    defects = (sample for sample in test if sample.defect != GOOD)
    return [real_piece(sample, detector.max_image_px) for sample in sorted(defects, key=lambda one: one.source_path)]


def _chosen(choice: Mapping[str, Any], base: Sequence[Sample], generator: str) -> Recipe:
    """Return what the choice says of each defect of the base set; the incumbent for one that it does not know."""
    said = {defect: decision["arm"] for defect, decision in choice["defects"].items()}
    defects = sorted({sample.defect for sample in base} - {GOOD})
    return {defect: Arm.read(said.get(defect, INCUMBENT), generator) for defect in defects}


def _best_out_of_fold(arms: Sequence[str], choice: Mapping[str, Any]) -> str | None:
    """Return which of `arms` scored best on the folds, or the first where none was measured there."""
    known = {arm: choice["arms"][arm]["pixel_ap"]["mean"] for arm in arms if arm in choice["arms"]}
    return max(known, key=lambda arm: known[arm]) if known else next(iter(arms), None)


def _nothing_to_compare(material: Material, test: Sequence[Sample]) -> str | None:
    if all(sample.defect == GOOD for sample in test):
        return "the test split holds no defect image"
    return None if material.defects else "the base split holds no defect image"


def _with_note(verdict: dict[str, str], product: str, left_out: Sequence[str]) -> dict[str, str]:
    """Return the verdict with a sentence on the defects that have pairs, but no real sample to measure them by."""
    if not left_out:
        return verdict
    note = f"Pairs of {', '.join(left_out)} are left out: '{product}' has no real ones to compare with."
    return verdict | {"sentence": f"{verdict['sentence']} {note}"}


def _setting(
    params: Evaluate, product: str, generator: str, budget: str, base: Sequence[Sample], test: Sequence[Sample]
) -> dict[str, Any]:
    base_images, test_images = (dict(sorted(Counter(s.defect for s in split).items())) for split in (base, test))
    return {
        "product": product,
        "generator": generator,
        "budget": budget,
        "seeds": list(params.seeds),
        "confidence": params.confidence,
        "headline": {"score": HEADLINES[params.detectors[0]], "detector": params.detectors[0]},
        "base_images": base_images,
        "test_images": test_images,
    }
