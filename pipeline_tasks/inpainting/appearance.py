"""What a defect looks like, apart from its shape: a code, and a guide to its slow shading (METHODS section 3a).

The code tells core and rim apart, and how rough each is, band by band: a mean and one deviation say neither, and take
the shading of a wide defect for grain. The guide is a defect's own shading, blurred until nothing fine is left of it.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline_tasks.images.codec import Mask
from pipeline_tasks.inpainting.level import CELL_PX, Floats

RIM_PX = 3.0
"""How deep the rim of a defect is; what is thinner has no core."""
BANDS_PX = (1.5, 5.0)
"""Deviations of the blurs between which residuals are measured: fine, middle, and coarse above the last."""
GUIDE_PX = 8.0
"""Deviation of the blur that leaves the guide."""
CODE_SIZE = 12
"""Mean RGB of the core, and of the rim; fine, middle and coarse deviation of the core, and of the rim."""
PLANES = 7
"""Planes of a look: colour (3), fine, middle and coarse deviation, whether the colour is a guide's."""


Extent = tuple[float, float, float, float]
"""Where a defect lies: y, x, height, width in px."""


@dataclass(frozen=True)
class Guide:
    """The slow shading of a defect: cells [h, w, 3] of CELL_PX, (RGB - level) / scale, defined beside it too.

    extent: of the defect that it was measured on.
    """

    cells: Floats
    extent: Extent


def measure_code(residual: Floats, mask: Mask) -> Floats:
    """Return the code [12] of a defect: `residual` is (RGB - level) / scale [H, W, 3], `mask` [H, W] not empty."""
    core = _depth(mask) > RIM_PX
    parts = (core if core.any() else mask, mask & ~core if (mask & ~core).any() else mask)
    bands = _bands(residual.mean(axis=2), mask)
    means = [residual[part].mean(axis=0) for part in parts]
    return np.concatenate([*means, *([band[part].std() for band in bands] for part in parts)]).astype(np.float32)


def _bands(luminance: Floats, mask: Mask) -> list[Floats]:
    """Return the fine, middle and coarse residual [H, W] of a defect, undisturbed by what is around it."""
    blurred = [_blurred_within(luminance, mask, deviation) for deviation in BANDS_PX]
    finer = [luminance, *blurred]
    return [*(fine - coarse for fine, coarse in zip(finer, blurred, strict=False)), blurred[-1]]


def _blurred_within(plane: Floats, mask: Mask, deviation: float) -> Floats:
    inside = mask.astype(np.float32)
    total, weight = (cv2.GaussianBlur(p, (0, 0), deviation) for p in (plane * inside, inside))
    return np.asarray(total / np.maximum(weight, 1e-3), np.float32)


def _depth(mask: Mask) -> Floats:
    """Return the distance [H, W] in px to the nearest pixel outside the defect; windows do not end one."""
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    return np.asarray(np.minimum(depth, 4 * RIM_PX), np.float32)


def measure_guide(residual: Floats, mask: Mask) -> Guide:
    """Return the guide of a defect: `residual` is (RGB - level) / scale [H, W, 3], `mask` [H, W] not empty."""
    height, width = (-(-side // CELL_PX) for side in mask.shape)
    inside = mask.astype(np.float32)
    planes = np.dstack([residual * inside[..., None], inside])
    planes = cv2.GaussianBlur(
        cv2.resize(planes, (width, height), interpolation=cv2.INTER_AREA), (0, 0), GUIDE_PX / CELL_PX
    )
    total, weight = planes[..., :3], planes[..., 3:]
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    extent = (rows[0], columns[0], rows[-1] + 1 - rows[0], columns[-1] + 1 - columns[0])
    faint = 1e-3
    cells = (total + faint * residual[mask].mean(axis=0)) / (weight + faint)
    return Guide(np.asarray(cells, np.float32), extent)


def laid(guide: Guide, extent: Extent, shape: tuple[int, ...]) -> Floats:
    """Return the guide's colour [H, W, 3], of `shape` [H, W], stretched from its own defect's extent to `extent`."""
    (y0, x0, height0, width0), (y1, x1, height1, width1) = guide.extent, extent
    sy, sx = height0 / height1, width0 / width1
    x, y = x0 + sx * (0.5 - x1), y0 + sy * (0.5 - y1)  # where the middle of the first pixel comes from
    to_cells = np.array([[sx, 0, x], [0, sy, y]]) / CELL_PX - np.array([[0, 0, 0.5], [0, 0, 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (shape[1], shape[0])
    return np.asarray(cv2.warpAffine(guide.cells, to_cells, size, flags=flags, borderMode=cv2.BORDER_REPLICATE))


def look(mask: Mask, code: Floats, colour: Floats | None) -> Floats:
    """Return the planes [H, W, 7] that tell a network what to paint in the mask; zero outside it.

    colour: the guide's [H, W, 3], or None: then the code's means, of the rim at the edge and of the core inside.
    """
    weight = np.clip((_depth(mask) - 0.5 * RIM_PX) / RIM_PX, 0, 1)[..., None]
    core, rim = code[:3], code[3:6]
    mean = weight * core + (1 - weight) * rim if colour is None else colour
    bands = weight * code[6:9] + (1 - weight) * code[9:12]
    guided = np.full_like(weight, colour is not None)
    return np.where(mask[..., None], np.concatenate([mean, bands, guided], axis=2), 0).astype(np.float32)
