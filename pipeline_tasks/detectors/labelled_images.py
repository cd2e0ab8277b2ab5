"""What a classifier learns from: whole images with the name of their class.

Classes are drawn as often as each other, so that many normal images do not drown few defects.
"""

from collections.abc import Iterator, Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.detector_params import Classifier
from pipeline_tasks.detectors.policies import augment
from pipeline_tasks.detectors.windows import Floats, Mix, Scene, Source, TrainingScenes, any_of
from pipeline_tasks.errors import DataError
from pipeline_tasks.schema import GOOD

DEFECT = "defect"
"""The class of all defects, where there are two classes whatever the defects."""


class LabelledImages:
    """Draws batches of whole images; of a defect's as many are synthetic as its mix says.

    `classes` are the defects in order of their names, then GOOD; or DEFECT and GOOD.
    """

    def __init__(self, real: Mapping[str, Sequence[Scene]], mixes: Mapping[str, Mix], params: Classifier) -> None:
        """See `TrainingScenes` for `real` and `mixes`. Raises DataError if they do not hold two classes."""
        self.material = TrainingScenes(real, mixes)
        self.params = params
        self.groups = dict(self._groups())
        self.classes = tuple(self.groups)
        if len(self.classes) < 2:
            raise DataError(f"a classifier needs two classes to tell apart; there is '{self.classes[0]}' alone")

    def _groups(self) -> Iterator[tuple[str, list[Source]]]:
        defects, is_binary = self.material.defects, self.params.classes == "binary"
        if defects and is_binary:
            yield DEFECT, defects
        for name in [] if is_binary else sorted({source.defect for source in defects}):
            yield name, [source for source in defects if source.defect == name]
        if self.material.normals:
            yield GOOD, self.material.normals

    def draw(self, rng: np.random.Generator) -> tuple[Floats, NDArray[np.int64]]:
        """Return images [B, 3, R, R], normalised, and the indices of their classes [B]; streams as in windows.py."""
        images, labels = zip(*(self._one(slot) for slot in rng.spawn(self.params.batch_size)), strict=True)
        return np.stack(images).transpose(0, 3, 1, 2), np.array(labels, np.int64)

    def _one(self, slot: np.random.Generator) -> tuple[Floats, int]:
        choosing, varying = slot.spawn(2)
        label = int(choosing.integers(len(self.classes)))
        source = any_of(self.groups[self.classes[label]], choosing)
        scene = source.scene if source.defect == GOOD else self.material.defective(source, choosing)
        image = whole(scene, self.params.resolution_px)
        nothing = np.zeros(image.shape[:2], bool)
        return augment(self.material.policy(source.defect), image, nothing, varying)[0], label


def whole(scene: Scene, side_px: int) -> Floats:
    """Return a whole scene as a square [R, R, 3], normalised: scaled along either axis, whatever its shape."""
    shrinks = side_px < max(scene.mask.shape)
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return scene.normalised(cv2.resize(scene.pixels, (side_px, side_px), interpolation=how))
