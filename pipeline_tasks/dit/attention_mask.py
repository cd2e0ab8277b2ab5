"""Masks of a generator's own: from its attention to the defect's name, and from what changed (DefectDiffu 3.4).

The label's claim is "these pixels, and no others, show the defect". Attention alone cannot back it: it is as coarse as
the network's patches, it falls on the defect's name whether or not a defect came out, and a threshold cuts every map in
two. Change alone cannot either: the whole picture may drift when a defect is asked for. So attention says where, change
against the same image at w_d = 0 says which pixels, and the agreement of the two is recorded before they are combined.
What changed outside the label stays visible in the pair's alignment and spill.
"""

import numpy as np

from pipeline_tasks.diffusion.views import Floats
from pipeline_tasks.images.codec import Mask
from pipeline_tasks.images.composite import dilate
from pipeline_tasks.images.honesty import VISIBLE_LEVELS, Change

SPECK = 0.05
"""Components and holes of a mask smaller than this share of its largest component are noise."""


def attention_mask(attention: Floats) -> Mask:
    """Return where the mean mask `attention`, grey levels 0..255 [h, w], exceeds its own iterative threshold.

    The threshold (Ridler & Calvard 1978) lies midway between the means of what it parts. A map that varies less than a
    visible level has nothing to part, and gives an empty mask.
    """
    return _above_own_threshold(attention, 0.0)


def refine(attended: Mask, change: Change, dilation_px: int) -> Mask:
    """Return the label [h, w]: pixels at most `dilation_px` from the attention mask `attended` that changed.

    change: grey levels [h, w] against the same image without a defect. Its iterative threshold, over all of the part,
    tells defect from drift: about half of the defect's own contrast, where people draw its edge; never below what is
    visible. A stronger change elsewhere raises it, and so may empty a label that would hide it. Specks are dropped, and
    holes of their size filled.
    """
    return _without_specks(dilate(attended, dilation_px) & _above_own_threshold(change, VISIBLE_LEVELS))


def agreement(attended: Mask, change: Change) -> float:
    """Return the intersection over union of the attention mask and the visibly changed pixels; 0 if there are none."""
    changed = changed_pixels(change)
    together = int((attended | changed).sum())
    return int((attended & changed).sum()) / together if together else 0.0


def changed_pixels(change: Change) -> Mask:
    """Return the pixels [h, w] whose `change`, grey levels, a person might see."""
    return np.asarray(change >= VISIBLE_LEVELS)


def _above_own_threshold(levels: Floats, least: float) -> Mask:
    from skimage.filters import threshold_isodata

    if np.ptp(levels) < VISIBLE_LEVELS:
        return np.zeros(levels.shape, bool)
    return np.asarray(levels >= max(float(threshold_isodata(levels)), least))


def _without_specks(mask: Mask) -> Mask:
    from skimage.measure import label
    from skimage.morphology import remove_small_holes, remove_small_objects

    if not mask.any():
        return mask
    components = label(mask, connectivity=2)
    largest = np.bincount(components.ravel())[1:].max()
    speck_px = int(SPECK * largest)
    kept = remove_small_objects(mask, max_size=speck_px, connectivity=2)
    return np.asarray(remove_small_holes(kept, max_size=speck_px))
