"""What DRAEM learns from: normal windows with and without a simulated anomaly, a share of them replaced by pairs.

Zavrtanik et al. 2021 (section 3.3) blend a foreign texture into a normal image where thresholded Perlin noise says so.
They take it from a collection of textures; here it is another window of the product, turned, scaled and coloured anew.
CAGen (section 4.1) replaces 30% of these images by generated ones; a mix's ratio is that share.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pipeline_tasks.detector_params import Detector
from pipeline_tasks.detectors.policies import augment
from pipeline_tasks.detectors.windows import (
    Floats,
    Mix,
    Scene,
    TrainingScenes,
    Window,
    any_of,
    anywhere,
    near_defect,
    stack,
)
from pipeline_tasks.images.codec import Mask
from pipeline_tasks.masks.perlin import THRESHOLD, perlin_noise

INTACT_SHARE = 0.5
"""Share of normal windows that stay as they are (the paper's released code)."""
SMALLEST_CELL_PX = 8
"""Noise has a power of two of cells along a window, none smaller than this (the paper: 8 px, of 256 px)."""
OPACITIES = (0.1, 1.0)
"""Least and largest share of the texture in what is seen of an anomaly (beta, Eq. 5)."""
GAIN, SHIFT = 1.5, 2.0
"""Largest change of a texture's contrast and level by channel, either way; the level in units of the image's spread."""
GREY_SHARE = 0.5
"""Share of textures whose channels change alike: on a grey product colour alone would tell all others."""
TRIES = 10
"""Places looked at for a window without the defect that its image has."""


class Batch(NamedTuple):
    """Windows as seen and as they would be without anomaly, [B, 3, S, S], normalised; masks [B, 1, S, S] in {0, 1}.

    `hidden` marks pixels whose normal state is not known: the defects of pairs and of real images.
    """

    seen: Floats
    clean: Floats
    labels: Floats
    hidden: Floats


class AnomalyWindows:
    """Draws batches of windows for DRAEM.

    Normal ones are of normal images, or where there are none of others, away from defects. No real defect is learned
    from. A replaced one is a synthetic scene of a defect drawn from all base images with a defect.
    """

    def __init__(self, real: Mapping[str, Sequence[Scene]], mixes: Mapping[str, Mix], params: Detector) -> None:
        """See `TrainingScenes` for `real` and `mixes`. Raises DataError if there is nothing to learn from."""
        self.material = TrainingScenes(real, mixes)
        self.side_px, self.batch_size = params.window_px, params.draem.batch_size
        self.sources = self.material.normals or self.material.defects

    def draw(self, rng: np.random.Generator) -> Batch:
        """Return a batch. Streams as in windows.py: where arms differ in a mix, all other windows are the same."""
        views = [self._view(slot) for slot in rng.spawn(self.batch_size)]
        seen, clean, labels, hidden = zip(*views, strict=True)
        (images, masks), (targets, unknown) = (
            stack(list(zip(*planes, strict=True))) for planes in ((seen, labels), (clean, hidden))
        )
        return Batch(images, targets, masks, unknown)

    def _view(self, slot: np.random.Generator) -> tuple[Floats, Floats, Mask, Mask]:
        choosing, placing, varying, simulating = slot.spawn(4)
        if self.material.defects:
            defect = any_of(self.material.defects, choosing).defect
            if scene := self.material.mixes[defect].drawn(choosing):
                window = near_defect(scene, self.side_px, placing)
                image, mask = augment(self.material.policy(defect), *window, varying)
                return image, image, mask, mask
        return self._normal(placing, varying, simulating)

    def _normal(
        self, placing: np.random.Generator, varying: np.random.Generator, simulating: np.random.Generator
    ) -> tuple[Floats, Floats, Mask, Mask]:
        source = any_of(self.sources, placing)
        window = calm(self.material.background(source, placing), self.side_px, placing)
        clean, hidden = augment(self.material.policy(source.defect), *window, varying)
        if simulating.random() < INTACT_SHARE:
            return clean, clean, hidden, hidden
        seen, label = simulate(clean, self._texture(simulating), simulating)
        return seen, clean, label | hidden, hidden

    def _texture(self, rng: np.random.Generator) -> Floats:
        scene = self.material.background(any_of(self.sources, rng), rng)
        image, _ = augment("classic", *calm(scene, self.side_px, rng), rng)
        darkest, brightest = scene.normalised(np.array([0, 255]))
        gains, shifts = rng.uniform(-GAIN, GAIN, 3), rng.uniform(-SHIFT, SHIFT, 3)
        if rng.random() < GREY_SHARE:
            gains, shifts = gains[:1], shifts[:1]
        return np.clip(image * gains + shifts, darkest, brightest).astype(np.float32)


def calm(scene: Scene, side_px: int, rng: np.random.Generator) -> Window:
    """Return a random window of `scene` without defect, or of a few the one with least of it."""
    tries = TRIES if scene.mask.any() else 1
    return min((anywhere(scene, side_px, rng) for _ in range(tries)), key=lambda window: int(window[1].sum()))


def simulate(clean: Floats, texture: Floats, rng: np.random.Generator) -> Window:
    """Return a normal window [S, S, 3] with `texture` blended in, and where that is, [S, S] (Eq. 5): maybe nowhere."""
    label = noise_mask(clean.shape[0], rng)
    opacity = rng.uniform(*OPACITIES)
    blended = (1 - opacity) * clean + opacity * texture
    return np.where(label[..., None], blended, clean).astype(np.float32), label


def noise_mask(side_px: int, rng: np.random.Generator) -> Mask:
    """Return thresholded Perlin noise on a randomly turned lattice, bool [S, S]."""
    finest = max(0, int(math.log2(side_px / SMALLEST_CELL_PX)))
    across, along = 2.0 ** rng.integers(0, finest + 1, 2)
    angle, offset = rng.uniform(0, np.pi), rng.random(2)
    x, y = np.meshgrid(*((np.arange(side_px) + 0.5) / side_px - 0.5 for _ in range(2)))
    u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    return np.asarray(perlin_noise(u * across + offset[0], v * along + offset[1], rng) > THRESHOLD)
