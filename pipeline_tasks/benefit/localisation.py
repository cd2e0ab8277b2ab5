"""Where the defects are: what localisers score for every arm, as JSON values."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline_tasks.benefit_params import INCUMBENT, Evaluate
from pipeline_tasks.measures.comparison import compare
from pipeline_tasks.measures.pixels import precision_recall
from pipeline_tasks.measures.scored import Scored, localisation_scores, of_defects, over_seeds, pooled_counts
from pipeline_tasks.schema import GOOD
from pipeline_tasks.seeds import derive_seed

Runs = Mapping[str, Sequence[Sequence[Scored]]]
"""Scores of the test images for each arm and seed."""


def localised_arms(
    found: Runs, defects: Sequence[str], groups: Mapping[str, str], params: Evaluate, seed: int
) -> dict[str, Any]:
    """Return every arm's scores over the test images, by defect, and its pixel AP against the incumbent's."""
    return {name: _arm(name, found, defects, groups, params, seed) for name in found}


def _arm(
    name: str, found: Runs, defects: Sequence[str], groups: Mapping[str, str], params: Evaluate, seed: int
) -> dict[str, Any]:
    runs, difference = found[name], None
    if name != INCUMBENT:
        both, draw = (runs, found[INCUMBENT]), derive_seed(seed, "bootstrap")
        difference = compare(*both, defects, groups, draw, params.confidence, params.draws)
    return {
        **over_seeds([localisation_scores(run, defects) for run in runs]),
        "per_defect": {d: over_seeds([localisation_scores(run, [d]) for run in runs]) for d in defects},
        "against": difference and difference.figures(),
    }


def curves(found: Runs, defects: Sequence[str]) -> list[dict[str, Any]]:
    """Return points of each arm's precision-recall curve, pixels pooled over the test images and the seeds."""
    rows: list[dict[str, Any]] = []
    for name, runs in found.items():
        recall, precision = precision_recall(pooled_counts([one for run in runs for one in of_defects(run, defects)]))
        points = zip(recall.tolist(), precision.tolist(), strict=True)
        rows += [{"arm": name, "recall": round(r, 5), "precision": round(p, 5)} for r, p in points]
    return rows


def by_image(run: Sequence[Scored]) -> list[dict[str, Any]]:
    """Return what one trained detector scores on each test image."""
    return [
        {
            "source_path": one.source_path,
            "defect": one.defect,
            "pixel_ap": None if one.defect == GOOD else localisation_scores([one], [one.defect])["pixel_ap"],
            "image_score": one.image_score,
        }
        for one in run
    ]
