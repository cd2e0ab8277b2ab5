"""What a detector sees: images at native resolution with the defect's mask, and square windows of them.

Arms that share a seed are compared in pairs: each window has random streams of its own, so that where two arms differ
in a mix or a policy, all other windows, and the places of all real ones, are the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.detector_params import Detector
from pipeline_tasks.detectors.policies import Policy, augment
from pipeline_tasks.errors import DataError
from pipeline_tasks.images.boxes import box_around, crop
from pipeline_tasks.images.codec import Mask, Pixels, decode_image, decode_mask
from pipeline_tasks.schema import GOOD

Floats = NDArray[np.float32]
Window = tuple[Floats, Mask]
SPREAD_FLOOR = 10.0
"""Grey levels added to an image's standard deviation, so that the noise of a blank image is not blown up."""


@dataclass(frozen=True, slots=True)
class Scene:
    """An image, or the part of one around its defect, as RGB uint8 [H, W, 3] with mask bool [H, W].

    `level` and `spread` are mean and standard deviation of the whole image's grey levels.
    """

    pixels: Pixels
    mask: Mask
    level: float
    spread: float

    def normalised(self, pixels: NDArray[Any]) -> Floats:
        """Return RGB `pixels` [h, w, 3] of this image in units of its spread, zero at its level: exposure drops out."""
        return np.asarray((pixels.astype(np.float32) - self.level) / (self.spread + SPREAD_FLOOR), np.float32)


def open_scene(image: bytes, mask: bytes | None, max_image_px: int) -> Scene:
    """Decode PNGs; see `as_scene`."""
    pixels = decode_image(image)
    defect = decode_mask(mask) if mask is not None else np.zeros(pixels.shape[:2], bool)
    return as_scene(pixels, defect, max_image_px)


def as_scene(pixels: Pixels, defect: Mask, max_image_px: int) -> Scene:
    """Return an image whose longest side is `max_image_px` at the most: a larger one is scaled down, its mask too."""
    scale = max_image_px / max(pixels.shape)
    if scale < 1:
        size = (max(1, round(scale * pixels.shape[1])), max(1, round(scale * pixels.shape[0])))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        # A pixel that holds any defect is defect: thin cracks would vanish under a threshold.
        defect = cv2.resize(defect.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
    return Scene(pixels, defect, float(pixels.mean()), float(pixels.std()))


def around_defect(scene: Scene, margin_px: int) -> Scene:
    """Return the part of `scene` within `margin_px` of its defect's bounding box, so that the rest can be let go."""
    rows, columns = (np.flatnonzero(scene.mask.any(axis=axis)) for axis in (1, 0))
    part = tuple(slice(max(0, int(at[0]) - margin_px), int(at[-1]) + 1 + margin_px) for at in (rows, columns))
    return replace(scene, pixels=scene.pixels[part].copy(), mask=scene.mask[part].copy())


@dataclass(frozen=True, slots=True)
class Mix:
    """What one defect is learned from: `ratio`, 0..1, of its windows are of `synthetic` scenes, the rest real ones.

    1 = synthetic alone: the defect's real images are then not looked at. `policy` varies every window.
    """

    synthetic: Sequence[Scene]
    ratio: float
    policy: Policy

    @property
    def shows_real(self) -> bool:
        """Whether real images of the defect are learned from."""
        return self.ratio < 1 or not self.synthetic

    def drawn(self, rng: np.random.Generator, ratio: float | None = None) -> Scene | None:
        """Return a synthetic scene with probability `ratio`, the mix's own unless given, else None."""
        part, which = rng.random(2)
        share = self.ratio if ratio is None else ratio
        return self.synthetic[int(which * len(self.synthetic))] if self.synthetic and part < share else None


@dataclass(frozen=True, slots=True)
class Source:
    """One real image of a defect or of GOOD; of a defect without real images one synthetic image, `is_real` False."""

    defect: str
    scene: Scene
    is_real: bool = True


class TrainingScenes:
    """What an arm learns from: `real` scenes by defect name and GOOD, and the mix of each defect."""

    def __init__(self, real: Mapping[str, Sequence[Scene]], mixes: Mapping[str, Mix]) -> None:
        """Take `mixes` of every defect in `real`, and of more. Raises DataError if there is nothing to learn from."""
        self.mixes = mixes
        self.normals = [Source(GOOD, scene) for scene in real.get(GOOD, ())]
        names = sorted({*real, *mixes} - {GOOD})
        self.defects = [source for name in names for source in _sources(name, real.get(name, ()), mixes[name])]
        if not self.normals and not self.defects:
            raise DataError("a detector has neither an image nor a pair to learn from; check the base split")
        policies = {mix.policy for mix in mixes.values()}
        self.common_policy: Policy = policies.pop() if len(policies) == 1 else "flip"

    def policy(self, defect: str) -> Policy:
        """Return how windows of a defect's images are varied; of GOOD's as all others, flipped if these differ."""
        return self.common_policy if defect == GOOD else self.mixes[defect].policy

    def defective(self, source: Source, rng: np.random.Generator) -> Scene:
        """Return a scene of a source's defect: synthetic as often as its mix says, else the source's own."""
        return self.mixes[source.defect].drawn(rng, None if source.is_real else 1.0) or source.scene

    def background(self, source: Source, rng: np.random.Generator) -> Scene:
        """Return a source's own scene, or a synthetic one where its defect has, or may show, no real image."""
        if source.defect == GOOD or (source.is_real and self.mixes[source.defect].shows_real):
            return source.scene
        return self.mixes[source.defect].drawn(rng, 1.0) or source.scene


def _sources(defect: str, real: Sequence[Scene], mix: Mix) -> list[Source]:
    if real:
        return [Source(defect, scene) for scene in real]
    return [Source(defect, mix.synthetic[0], is_real=False)] if mix.synthetic and mix.ratio > 0 else []


def any_of(sources: Sequence[Source], rng: np.random.Generator) -> Source:
    """Return one of `sources`, each as likely."""
    return sources[int(rng.integers(len(sources)))]


class TrainingWindows:
    """Draws batches of windows: half near a defect, half anywhere on the base images, each varied by its policy.

    A window near a defect is of an image drawn from all base images with a defect, or of a synthetic one of that
    defect, as often as its mix says; a defect without real images counts as one. Without defects all are anywhere.
    """

    def __init__(self, real: Mapping[str, Sequence[Scene]], mixes: Mapping[str, Mix], params: Detector) -> None:
        """See `TrainingScenes` for `real` and `mixes`. Raises DataError if there is nothing to learn from."""
        self.material = TrainingScenes(real, mixes)
        self.params = params
        self.near = (params.batch_size + 1) // 2 if self.material.defects else 0
        self.everything = [*self.material.normals, *self.material.defects]

    def draw(self, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Return images [B, 3, S, S], normalised, and masks [B, 1, S, S] in {0, 1}."""
        slots = rng.spawn(self.params.batch_size)
        return stack(
            [self._near_defect(slot) if i < self.near else self._anywhere(slot) for i, slot in enumerate(slots)]
        )

    def _near_defect(self, slot: np.random.Generator) -> Window:
        choosing, placing, varying = slot.spawn(3)
        source = any_of(self.material.defects, choosing)
        scene = self.material.defective(source, choosing)
        window = near_defect(scene, self.params.window_px, placing)
        return augment(self.material.policy(source.defect), *window, varying)

    def _anywhere(self, slot: np.random.Generator) -> Window:
        choosing, placing, varying = slot.spawn(3)
        source = any_of(self.everything, choosing)
        window = anywhere(self.material.background(source, choosing), self.params.window_px, placing)
        return augment(self.material.policy(source.defect), *window, varying)


def near_defect(scene: Scene, side_px: int, rng: np.random.Generator) -> Window:
    """Return a window around a random pixel of the defect, moved by up to a quarter; anywhere if there is no defect."""
    at = np.flatnonzero(scene.mask)
    if not at.size:
        return anywhere(scene, side_px, rng)
    y, x = divmod(int(rng.choice(at)), scene.mask.shape[1])
    reach = side_px // 4
    dy, dx = rng.integers(-reach, reach + 1, 2)
    return _window(scene, (y + int(dy), x + int(dx)), side_px)


def anywhere(scene: Scene, side_px: int, rng: np.random.Generator) -> Window:
    """Return a random window, [S, S, 3], normalised, and its mask [S, S]; beyond the scene its edge is repeated."""
    y, x = (int(rng.integers(size)) for size in scene.mask.shape)
    return _window(scene, (y, x), side_px)


def _window(scene: Scene, center_yx: tuple[int, int], side_px: int) -> Window:
    box = box_around(center_yx, side_px, scene.mask.shape)
    return scene.normalised(crop(scene.pixels, box)), np.asarray(crop(scene.mask, box), bool)


def stack(windows: Sequence[Window]) -> tuple[Floats, Floats]:
    """Return images [B, 3, S, S] and masks [B, 1, S, S] in {0, 1} of equally large windows."""
    images, masks = zip(*windows, strict=True)
    return np.stack(images).transpose(0, 3, 1, 2), np.stack(masks)[:, None].astype(np.float32)
