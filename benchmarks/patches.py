"""How far patches inside generated defects are from those inside real ones, narrow and wide defects apart."""

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.images.codec import Mask, Pixels
from pipeline_tasks.images.composite import dilate
from pipeline_tasks.inpainting.appearance import measure_code
from pipeline_tasks.inpainting.level import level_field

SIDES = {"narrow": 5, "wide": 15}
"""Side of the patches, px: those of wide defects lie wholly inside, those of narrow ones are centred on them."""
WIDE_PX = 40.0
"""Least width of a wide defect: twice the largest distance to its edge."""
PATCHES, DIRECTIONS = 2000, 128
Floats = NDArray[np.float32]
Marked = tuple[Pixels, Mask]


def width(mask: Mask) -> float:
    """Return the largest width of a defect, px."""
    return 2 * float(cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5).max())


def of_width(images: Iterable[Marked], kind: str) -> list[Marked]:
    """Return the narrow or the wide ones."""
    return [one for one in images if (width(one[1]) >= WIDE_PX) == (kind == "wide")]


def sliced_wasserstein(made: Sequence[Marked], real: Sequence[Marked], kind: str, seed: int) -> float | None:
    """Return the sliced Wasserstein-1 distance of patches, grey levels (Rabin et al. 2011; Karras et al. 2018).

    Patches are relative to the surface's level; None without some of either kind.
    """
    from scipy.stats import wasserstein_distance

    rng = np.random.default_rng(seed)
    one, other = (_patches(images, SIDES[kind], kind == "wide", rng) for images in (made, real))
    if one is None or other is None:
        return None
    ways = rng.standard_normal((one.shape[1], DIRECTIONS))
    ways /= np.linalg.norm(ways, axis=0)
    pairs = zip((one @ ways).T, (other @ ways).T, strict=True)
    return float(np.mean([wasserstein_distance(a, b) for a, b in pairs]))


def roughness(images: Sequence[Marked]) -> Floats | None:
    """Return the median fine, middle and coarse deviation [3] of the inside of defects, grey levels."""
    codes = [measure_code(_residual(*one), one[1])[6:9] for one in images]
    return np.median(codes, axis=0).astype(np.float32) if codes else None


def _residual(pixels: Pixels, mask: Mask) -> Floats:
    image = pixels.astype(np.float32)
    return image - level_field(image, ~dilate(mask, 3))


def _patches(images: Sequence[Marked], side: int, inside: bool, rng: np.random.Generator) -> Floats | None:
    half, found = side // 2, []
    for pixels, mask in images:
        residual = _residual(pixels, mask)
        allowed = cv2.erode(mask.astype(np.uint8), np.ones((side, side), np.uint8)) if inside else mask.astype(np.uint8)
        allowed[:half], allowed[-half:], allowed[:, :half], allowed[:, -half:] = 0, 0, 0, 0
        points = np.argwhere(allowed)
        for y, x in points[rng.permutation(len(points))[: -(-PATCHES // len(images))]]:
            found.append(residual[y - half : y + half + 1, x - half : x + half + 1].ravel())
    return np.stack(found).astype(np.float32) if found else None
