"""Does a label tell the truth: is what changed in a generated image what the mask marks? (METHODS section 4)

Measured before the composite, which would hide what spilt over the mask's edge.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.images.codec import Mask

Change = NDArray[np.float32]
VISIBLE_LEVELS = 4.0
"""Least change that a person might see, grey levels."""


def change_between(generated: NDArray[np.float32], unchanged: NDArray[np.float32]) -> Change:
    """Return the mean absolute difference over the channels, grey levels [h, w], of two RGB images [h, w, 3]."""
    return np.asarray(np.abs(generated - unchanged).mean(axis=2), np.float32)


def alignment(change: Change, mask: Mask) -> float:
    """Return how well `change` [h, w] tells the pixels of `mask` [h, w] from the others: 0 = by chance, 1 = perfectly.

    The average precision AP of the change as a score for the mask, above what chance gives, the mask's share p of the
    part: (AP - p) / (1 - p). Below 0 counts as 0. A mask that fills the part or is absent from it gives 0.
    """
    from sklearn.metrics import average_precision_score

    share = float(mask.mean())
    if share in (0.0, 1.0):
        return 0.0
    precision = float(average_precision_score(mask.ravel(), change.ravel()))
    return max(0.0, (precision - share) / (1 - share))


def spill(change: Change, near: Mask) -> float:
    """Return the share of the visible `change` [h, w] that lies outside `near` [h, w], the dilated mask; 0 without any.

    Changes below VISIBLE_LEVELS do not count: a codec's normalisation layers spread a little over all of an image.
    """
    visible = np.where(change >= VISIBLE_LEVELS, change, 0)
    total = float(visible.sum())
    return float(visible[~near].sum()) / total if total else 0.0
