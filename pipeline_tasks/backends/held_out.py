"""Base samples that a training does not learn from, so that it knows when to stop."""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from pipeline_tasks.schema import Sample
from pipeline_tasks.seeds import derive_seed


def held_out(defects: Iterable[Sample], min_images: int, fraction: float, seed: int) -> frozenset[str]:
    """Return the source_path of about `fraction` of the images of each defect that has `min_images` or more.

    Shots of one part are held out together, and a part that would take more than that is passed over.
    """
    by_part: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for sample in defects:
        by_part[sample.defect][sample.group or sample.source_path].append(sample.source_path)
    chosen: list[str] = []
    for defect, parts in sorted(by_part.items()):
        room = round(fraction * sum(map(len, parts.values()))) if sum(map(len, parts.values())) >= min_images else 0
        for part in np.random.default_rng(derive_seed(seed, "held out", defect)).permutation(sorted(parts)):
            if len(parts[part]) <= room:
                chosen += parts[part]
                room -= len(parts[part])
    return frozenset(chosen)
