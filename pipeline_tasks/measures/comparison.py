"""Is one arm better than another? A bootstrap over images and runs, both arms scored on the same of each."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline_tasks.measures.pixels import LEVELS, Reals, average_precisions
from pipeline_tasks.measures.scored import Scored, of_defects
from pipeline_tasks.schema import GOOD

DRAWS = 1000
Images = Sequence[tuple[str, str]]
"""Source path and defect of each image."""


@dataclass(frozen=True)
class Comparison:
    """How much more one arm scores than another, as a difference of scores of 0..1.

    `difference` is the mean of those of the runs, `per_run`; `low` and `high` bound it with the confidence asked for;
    `probability`, 0..1, is the share of draws in which it is positive, those in which it is 0 counting half.
    """

    difference: float
    low: float
    high: float
    probability: float
    per_run: tuple[float, ...]

    def figures(self) -> dict[str, float]:
        """Return all but `per_run`, by name."""
        return {name: getattr(self, name) for name in ("difference", "low", "high", "probability")}


def compare(
    ours: Sequence[Sequence[Scored]],
    theirs: Sequence[Sequence[Scored]],
    defects: Sequence[str],
    groups: Mapping[str, str],
    seed: int,
    confidence: float,
    draws: int = DRAWS,
) -> Comparison | None:
    """Compare the pixel average precision of two arms, pooled over the images of `defects` and the normal ones.

    Each arm has a list per run (seed or repeat); all of them hold the same images in the same order. A draw resamples
    the images, within each defect and the normal ones, and the runs, alike for both arms, and takes the mean over its
    runs; the bounds, at `confidence` 0..1, are percentiles over the draws. Near-duplicates are drawn together: `groups`
    names the group of a source path that has one. n - 1 of n are drawn and weighted up to n, as with n the spread of
    few comes out too small (Rao and Wu 1988). What there is only one of shows no spread: a single run, the only image
    of a defect. None where the images hold no defect pixels. Raises ValueError if the images of runs differ.
    """
    our_runs, their_runs = ([of_defects(run, defects) for run in arm] for arm in (ours, theirs))
    images = _shared_images([*our_runs, *their_runs])
    if not any(scored.counts[1].any() for scored in our_runs[0]):
        return None
    rng = np.random.default_rng(seed)
    weights = _draw_images(images, groups, draws, rng)
    runs = zip(our_runs, their_runs, strict=True)
    gains = [_precisions(our_run, weights) - _precisions(their_run, weights) for our_run, their_run in runs]
    return _conclude(np.stack(gains), confidence, rng)


def compare_values(
    ours: Reals,
    theirs: Reals,
    images: Images,
    groups: Mapping[str, str],
    seed: int,
    confidence: float,
    draws: int = DRAWS,
) -> Comparison | None:
    """Compare two arms as `compare` does, by the mean over `images` of values 0..1, both [runs, images].

    So accuracies are compared: a value is 1 where the prediction is right, else 0. None without images.
    """
    if not images:
        return None
    rng = np.random.default_rng(seed)
    weights = _draw_images(images, groups, draws, rng)
    return _conclude((ours - theirs) @ weights.T / weights.sum(axis=1), confidence, rng)


def _shared_images(runs: Sequence[Sequence[Scored]]) -> Images:
    images = [[(scored.source_path, scored.defect) for scored in run] for run in runs]
    for number, other in enumerate(images):
        if other != images[0]:
            raise ValueError(f"run {number} of {len(images)} scores other images, or in another order, than the first")
    return images[0]


def _draw_images(images: Images, groups: Mapping[str, str], draws: int, rng: np.random.Generator) -> Reals:
    """Return the weight of each image in each draw, [1 + draws, images]: the first is the images as they are."""
    weights = np.ones((1 + draws, len(images)))
    for clusters in _strata(images, groups):
        times = _draw(len(clusters), draws, rng)
        for cluster, drawn in zip(clusters, times.T, strict=True):
            weights[1:, cluster] = drawn[:, None]
    return weights


def _strata(images: Images, groups: Mapping[str, str]) -> list[list[list[int]]]:
    """Return the indices of the images by what they show and by what is drawn together.

    A group that spans several defects counts as the first of them by name; one with normal images as a defect's.
    """
    clusters: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, (source_path, _) in enumerate(images):
        group = groups.get(source_path, "")
        clusters["group" if group else "image", group or source_path].append(index)
    strata: dict[str, list[list[int]]] = defaultdict(list)
    for cluster in clusters.values():
        defects = {images[index][1] for index in cluster}
        strata[min(defects - {GOOD}, default=GOOD)].append(cluster)
    return list(strata.values())


def _draw(count: int, draws: int, rng: np.random.Generator) -> Reals:
    """Return how much each of `count` things weighs in each draw, [draws, count]; `count` in all."""
    taken = max(count - 1, 1)
    return rng.multinomial(taken, np.full(count, 1 / count), draws).astype(np.float64) * (count / taken)


def _precisions(run: Sequence[Scored], weights: Reals) -> Reals:
    """Return the pooled pixel average precision of a run under each row of `weights` [draws, images]."""
    counts = np.stack([scored.counts.ravel() for scored in run]).astype(np.float64)
    return average_precisions((weights @ counts).reshape(-1, 2, LEVELS))


def _conclude(gains: Reals, confidence: float, rng: np.random.Generator) -> Comparison:
    """Return what `gains` [runs, 1 + draws] say, the first of each run over the images as they are."""
    per_run, drawn = gains[:, 0], gains[:, 1:]
    totals = np.mean(_draw(len(gains), drawn.shape[1], rng).T * drawn, axis=0)
    low, high = np.quantile(totals, [(1 - confidence) / 2, (1 + confidence) / 2])
    probability = np.mean(totals > 0) + np.mean(totals == 0) / 2
    return Comparison(float(per_run.mean()), float(low), float(high), float(probability), tuple(per_run.tolist()))
