"""Normal, real and generated defects in one picture: t-SNE of a network's features (CAGen, figure 4)."""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

PERPLEXITY = 30.0
"""Scikit-learn's, for as many views as it needs; a third of their number for fewer."""
LEAST = 5
"""Fewer views than this have no arrangement to show."""


class Point(TypedDict):
    """A view in the plane; `kind` is normal, real, or what made it."""

    x: float
    y: float
    kind: str
    defect: str


def embed(features: NDArray[np.float32], kinds: Sequence[str], defects: Sequence[str], seed: int) -> list[Point]:
    """Return where t-SNE puts views of features [N, D] in the plane, in their order; nothing for fewer than LEAST.

    Only who is near whom means anything; equal arguments give equal points on one machine.
    """
    from sklearn.manifold import TSNE

    if len(features) < LEAST:
        return []
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    found = TSNE(perplexity=perplexity, init="pca", random_state=seed % 2**32).fit_transform(features)
    rows = zip(found.tolist(), kinds, defects, strict=True)
    return [Point(x=round(x, 3), y=round(y, 3), kind=kind, defect=defect) for (x, y), kind, defect in rows]
