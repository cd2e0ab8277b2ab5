"""White noise, cut from one stock: drawing a normal value for every pixel anew took a tenth of a scene's time."""

import math
from functools import lru_cache

import numpy as np

from pipeline_tasks.drawing.fields import Field

STOCK = 1 << 20
"""Values, 4 MiB; a cut starts anywhere among them."""


def white_noise(rng: np.random.Generator, shape: tuple[int, ...]) -> Field:
    """Return standard normal noise of `shape`, of fewer than STOCK values; it may not be written to."""
    count = math.prod(shape)
    start = int(rng.integers(STOCK - count))
    return _stock()[start : start + count].reshape(shape)


@lru_cache(maxsize=1)
def _stock() -> Field:
    values = np.random.default_rng(0).standard_normal(STOCK, np.float32)
    values.flags.writeable = False
    return values
