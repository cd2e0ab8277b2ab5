"""Base samples that a training does not learn from, so that it knows when to stop."""

from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np

from pipeline_tasks.schema import Sample
from pipeline_tasks.seeds import derive_seed


def held_out(defects: Iterable[Sample], min_images: int, fraction: float, seed: int) -> frozenset[str]:
    """Return the source_path of about `fraction` of the images of each defect that has `min_images` or more.

    Shots of one part are held out together, whatever their defects; a part that would take more is passed over.
    """
    parts: dict[str, list[Sample]] = defaultdict(list)
    for sample in defects:
        parts[part_of(sample)].append(sample)
    counts = Counter(sample.defect for shots in parts.values() for sample in shots)
    room = Counter({defect: round(fraction * n) for defect, n in counts.items() if n >= min_images})
    chosen: set[str] = set()
    for part in np.random.default_rng(derive_seed(seed, "held out")).permutation(sorted(parts)):
        taken = Counter(sample.defect for sample in parts[part])
        if taken <= room:
            room -= taken
            chosen |= {sample.source_path for sample in parts[part]}
    return frozenset(chosen)


def part_of(sample: Sample) -> str:
    """Return which part a sample shows: the one of its group of near-duplicates, or of the image it was made from."""
    return sample.group or sample.derived_from or sample.source_path
