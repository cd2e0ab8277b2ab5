"""A drawn scene as a training window of the inpainting network."""

import numpy as np

from pipeline_tasks.drawing.scene import Scene
from pipeline_tasks.images.boxes import Box
from pipeline_tasks.inpainting.source import Grain, measure_grain
from pipeline_tasks.inpainting.training_windows import (
    MIN_SCALE,
    DefectImage,
    Window,
    described,
    plain,
    residual,
    uncoded,
)

DILATION_PX = 3
GUIDED, UNCODED, NORMAL = 0.6, 0.05, 0.25
"""Shares of windows that are told the defect's slow shading, nothing of its look, and that there is no defect."""
SPREAD = 0.25
"""Deviation of the logarithm of a window's scale: of a product's defects, some are fainter than its scale."""


def prior_window(scene: Scene, rng: np.random.Generator) -> tuple[Window, Grain]:
    """Return a scene [S, S] as one window, and the grain of its surface; what is told of the defect is random."""
    image, side = DefectImage(scene.pixels, scene.mask, 0, DILATION_PX), len(scene.mask)
    damaged = residual(image, Box(0, 0, side, side))
    sound = (damaged + (scene.clean.astype(np.float32) - scene.pixels)).astype(np.float32)
    contrast = float(np.sqrt(np.square(damaged[image.hole]).mean()))
    scale = max(contrast, MIN_SCALE) * float(np.exp(rng.normal(0, SPREAD)))
    grain = measure_grain([sound / scale])
    if rng.random() < NORMAL:
        return plain(sound / scale, image.hole, 0), grain
    window = described(damaged / scale, image.hole, scene.mask, 0, bool(rng.random() < GUIDED), rng)
    return (uncoded(window) if rng.random() < UNCODED else window), grain
