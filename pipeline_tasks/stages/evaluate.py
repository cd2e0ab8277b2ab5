"""Evaluate: does a detector find real defects better when it also learns from pairs? (METHODS section 5)"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from torch import nn

from pipeline_tasks.params import Evaluate
from pipeline_tasks.quality.detector import describe_detector, score_map, train_detector
from pipeline_tasks.quality.leakage import HeldOut, hold_out
from pipeline_tasks.quality.metrics import ScoreSheet, over_seeds
from pipeline_tasks.quality.verdict import judge, not_applicable
from pipeline_tasks.quality.windows import Scene, around_defect, open_scene
from pipeline_tasks.schema import GOOD, Pair, Sample
from pipeline_tasks.seeds import derive_seed

REAL_ONLY = "real_only"


def run(
    params: Evaluate,
    seed: int,
    product: str,
    base: Sequence[Sample],
    test: Sequence[Sample],
    synthetic: Mapping[str, Iterable[Pair]],
    generator: str,
    advance: Callable[[], object],
    left_out: Sequence[str] = (),
) -> dict[str, Any]:
    """Train the same detector for every arm and seed, score it on the real test split, and judge the generator.

    Arms: REAL_ONLY and, for each backend in `synthetic`, real data with its pairs, which fill `synthetic_fraction` of
    the defect windows. The arms share seeds, real data and number of steps. `advance` is called `count_steps` times.
    The result is JSON values; where there is nothing to compare, its verdict says why. It also names the defects
    `left_out`, which are learned on other products. Raises LeakageError naming the sample of the wrong split, or the
    base sample or pair that comes from a test sample.
    """
    held_out = hold_out(base, test, "evaluate")
    pairs = {backend: _pair_scenes(made, held_out, params) for backend, made in synthetic.items()}
    result = _setting(params, product, base, test)
    if reason := _nothing_to_compare(base, test, pairs, generator):
        return result | {"arms": {}, "verdict": _with_note(not_applicable(reason), product, left_out)}
    real, scenes = ([open_scene(s.image, s.mask, params.max_image_px) for s in split] for split in (base, test))
    labelled = list(zip((sample.defect for sample in test), scenes, strict=True))
    arms = {}
    for arm, made in {REAL_ONLY: [], **{arm_name(backend): made for backend, made in pairs.items()}}.items():
        seeds = [derive_seed(seed, product, "detector", number) for number in params.seeds]
        sheets = [_score(train_detector(real, made, params, each, advance), labelled, advance) for each in seeds]
        arms[arm] = {"seeds": list(params.seeds), "synthetic_images": len(made), **_summary(sheets, test)}
    real_ap, synthetic_ap = (arms[arm]["pixel_ap"]["values"] for arm in (REAL_ONLY, arm_name(generator)))
    return result | {"arms": arms, "verdict": _with_note(judge(generator, real_ap, synthetic_ap), product, left_out)}


def arm_name(backend: str) -> str:
    """Return the name of the arm that learns from real data and the backend's pairs."""
    return f"real_and_{backend}"


def count_steps(params: Evaluate, arms: int, test: Sequence[Sample]) -> int:
    """Return how often `run` calls `advance` for `arms` arms: each optimiser step and each test image scored."""
    return arms * len(params.seeds) * (params.steps + len(test))


def spread_over_defects(made: Mapping[str, Sequence[int]], most: int) -> dict[str, set[int]]:
    """Choose at most `most` pair indices: as many of each defect (at least one), evenly over those made."""
    share = max(1, most // max(1, len(made)))
    counts = {defect: min(share, len(indices)) for defect, indices in made.items()}
    return {
        defect: {sorted(indices)[i * len(indices) // counts[defect]] for i in range(counts[defect])}
        for defect, indices in made.items()
    }


def _pair_scenes(pairs: Iterable[Pair], held_out: HeldOut, params: Evaluate) -> list[Scene]:
    scenes = []
    for pair in pairs:
        held_out.refuse_pair(pair)
        scenes.append(around_defect(open_scene(pair.image, pair.mask, params.max_image_px), params.window_px))
    return scenes


def _nothing_to_compare(
    base: Sequence[Sample], test: Sequence[Sample], pairs: Mapping[str, Sequence[Scene]], generator: str
) -> str | None:
    if all(sample.defect == GOOD for sample in test):
        return "the test split holds no defect image"
    if all(sample.defect == GOOD for sample in base):
        return "the base split holds no defect image"
    if missing := [backend for backend in sorted({generator, *pairs}) if not pairs.get(backend)]:
        return f"there are no pairs by {' and '.join(missing)}"
    return None


def _with_note(verdict: dict[str, str], product: str, left_out: Sequence[str]) -> dict[str, str]:
    """Return the verdict with a sentence on the defects that have pairs, but no real sample to measure them by."""
    if not left_out:
        return verdict
    note = f"Pairs of {', '.join(left_out)} are left out: '{product}' has no real ones to compare with."
    return verdict | {"sentence": f"{verdict['sentence']} {note}"}


def _score(network: nn.Module, test: Sequence[tuple[str, Scene]], advance: Callable[[], object]) -> ScoreSheet:
    sheet = ScoreSheet()
    for defect, scene in test:
        sheet.add(defect, score_map(network, scene), scene.mask)
        advance()
    return sheet


def _summary(sheets: Sequence[ScoreSheet], test: Sequence[Sample]) -> dict[str, Any]:
    defects = sorted({sample.defect for sample in test} - {GOOD})
    per_defect = {defect: over_seeds([sheet.scores([defect]) for sheet in sheets]) for defect in defects}
    return {**over_seeds([sheet.scores(defects) for sheet in sheets]), "per_defect": per_defect}


def _setting(params: Evaluate, product: str, base: Sequence[Sample], test: Sequence[Sample]) -> dict[str, Any]:
    base_images, test_images = (dict(sorted(Counter(s.defect for s in split).items())) for split in (base, test))
    reasons = {} if GOOD in test_images else {"image_auroc": "there are no normal test images"}
    return {
        "product": product,
        "budget": "equal-steps",
        "detector": describe_detector(params),
        "base_images": base_images,
        "test_images": test_images,
        "reasons": reasons,
    }
