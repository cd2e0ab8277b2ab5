"""Has a generator learned its training images by heart? (METHODS section 5: nearest-neighbour distance)"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist, pdist, squareform
from sklearn.preprocessing import normalize

from pipeline_tasks.measures.distances import UnmeasurableError

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Nearness:
    """How near generated views are to the known ones, next to how near these are to each other.

    `ratio`: median distance to the nearest known view, in medians among the known ones: about 1 where the generated
    views are new ones of the kind, 0 for copies. `closer`: share, 0..1, nearer to a known view than any two of these
    are to each other.
    """

    ratio: float
    closer: float


def nearness(generated: NDArray[np.float32], known: NDArray[np.float32]) -> Nearness:
    """Compare features [N, D] of generated views with those [M, D] of the views that the generator was trained on.

    Distances of unit features, 0..2. Raises UnmeasurableError for fewer than two known views, or if they are alike.
    """
    if len(known) < 2 or not len(generated):
        raise UnmeasurableError(f"needs 2 known views and a generated one; there are {len(known)} and {len(generated)}")
    made, own = normalize(generated.astype(np.float64)), normalize(known.astype(np.float64))
    to_known: Reals = cdist(made, own).min(1)
    among = squareform(pdist(own))
    np.fill_diagonal(among, np.inf)
    usual = float(np.median(among.min(1)))
    if usual == 0:
        raise UnmeasurableError("the known views look alike to the network, so nothing is nearer than they are")
    return Nearness(float(np.median(to_known)) / usual, float((to_known < among.min()).mean()))
