"""Is a defect a copy of a known one, and does it look like another made one? (METHODS section 5: memorisation)"""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.images.boxes import bounding_box
from pipeline_tasks.images.codec import Mask, Pixels

Structure = NDArray[np.float32]
SIDE_PX = 32
LEAST_PX = 9
"""A defect of fewer pixels has no structure of its own: any two would look like copies by chance."""


def structure(pixels: Pixels, mask: Mask) -> Structure:
    """Return the inner structure [SIDE_PX, SIDE_PX] of what `mask` [H, W] marks in `pixels`, RGB uint8 [H, W, 3].

    Grey levels inside the mask less their mean, zero outside it, scaled so that the defect's longer side fills the
    square, of norm 1. So neither the background nor contrast, brightness, size and place of the defect matter. All zero
    for a defect of fewer than LEAST_PX or of one level: there is nothing to tell a copy by.
    """
    square = np.zeros((SIDE_PX, SIDE_PX), np.float32)
    if mask.sum() < LEAST_PX:
        return square
    box = bounding_box(mask, 0)
    part = np.s_[box.y : box.y + box.height, box.x : box.x + box.width]
    inside, grey = mask[part], cv2.cvtColor(pixels[part], cv2.COLOR_RGB2GRAY)
    if np.ptp(grey[inside]) == 0:
        return square
    detail = np.where(inside, grey - grey[inside].mean(dtype=np.float64), 0).astype(np.float32)
    height, width = (_even(side * SIDE_PX / max(detail.shape)) for side in detail.shape)
    way = cv2.INTER_AREA if max(detail.shape) > SIDE_PX else cv2.INTER_LINEAR
    y, x = (SIDE_PX - height) // 2, (SIDE_PX - width) // 2
    square[y : y + height, x : x + width] = cv2.resize(detail, (width, height), interpolation=way)
    return square / max(float(np.linalg.norm(square)), 1e-6)


def _even(side: float) -> int:
    """Return a side that leaves equal margins, so that turned squares meet pixel by pixel."""
    return max(2, 2 * round(side / 2))


class KnownDefects:
    """The structures of the real defects that a generator may have learned by heart."""

    def __init__(self, known: Iterable[tuple[str, Structure]]) -> None:
        named = list(known)
        self._names = [name for name, _ in named]
        self._structures = np.array([one for _, one in named], np.float32).reshape(-1, SIDE_PX * SIDE_PX)

    def nearest(self, one: Structure) -> tuple[str, float]:
        """Return the name of the known defect that `one` is most like, and how like: 1 = a copy, 0 = unrelated.

        Normalised correlation of the structures, the largest over the eight turns and reflections. A copy scores 1
        wherever it is pasted, lighter, darker, fainter, turned by right angles or reflected; one that is resampled at
        another angle less, the less the smaller it is.
        """
        turned = [np.rot90(side, quarter).ravel() for side in (one, one[:, ::-1]) for quarter in range(4)]
        likeness = (self._structures @ np.stack(turned).T).max(axis=1)
        best = int(likeness.argmax())
        return self._names[best], float(np.clip(likeness[best], 0, 1))


def change_hash(image: Pixels, normal: Pixels) -> str:
    """Return a 64-bit perceptual hash of what changed between two RGB uint8 pictures [H, W, 3]: 16 hex digits.

    The signs of the lowest 8 x 8 cosine coefficients, about their median, of the largest channel's change at 32 px.
    Where the defect is and what shape it has decides; the background, alike in both, does not.
    """
    import imagehash
    from PIL import Image

    change = cv2.absdiff(image, normal).max(axis=2)
    visible = change.astype(np.float32) * (255 / max(int(change.max()), 1))
    return str(imagehash.phash(Image.fromarray(visible.astype(np.uint8))))
