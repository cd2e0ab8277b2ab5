"""Shots of one and the same part: they must not be split between base and test (METHODS section 0)."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from pipeline_tasks.images.codec import Pixels

SIDE_PX = 64
DETAIL_PX = 3.0
SAME_SIZE = 0.1
SAME_PART = 0.7
"""Correlation of two fingerprints from which on they are taken for one part."""

Fingerprint = NDArray[np.float32]


def fingerprint(pixels: Pixels) -> Fingerprint:
    """Return the detail [64, 64] of an image [H, W, 3] without exposure and shading, clipped to 3 deviations."""
    small = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    detail = small.astype(np.float32)
    detail -= cv2.GaussianBlur(detail, (0, 0), DETAIL_PX)
    return np.asarray(np.clip(detail / (detail.std() + 1e-6), -3, 3), np.float32)


def group_shots(fingerprints: Sequence[Fingerprint], sizes: Sequence[tuple[int, int]]) -> list[int]:
    """Return a group number for each image: equal numbers are shots of one part, by single linkage.

    `sizes` are (width, height) in px: shots of one part differ by at most a tenth in either. What all images share, the
    median fingerprint, says nothing about the part and is left out.
    """
    if len(fingerprints) < 3:
        return list(range(len(fingerprints)))
    details = np.stack(fingerprints)
    own = (details - np.median(details, axis=0)).reshape(len(details), -1)
    own -= own.mean(axis=1, keepdims=True)
    own /= np.linalg.norm(own, axis=1, keepdims=True) + 1e-6
    logs = np.log(np.asarray(sizes, np.float64))
    alike = (np.abs(logs[:, None] - logs[None]) < SAME_SIZE).all(axis=2)
    _, groups = connected_components((own @ own.T >= SAME_PART) & alike, directed=False)
    return [int(group) for group in groups]
