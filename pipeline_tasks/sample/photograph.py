"""One photograph of one plate, good or with a defect, and the exact mask of what the defect changed."""

from typing import NamedTuple

import cv2
import numpy as np

from pipeline_tasks.drawing.camera import expose, read_out
from pipeline_tasks.drawing.defects import DEFECTS, Severity
from pipeline_tasks.drawing.face import Face
from pipeline_tasks.drawing.fields import Field, ramp
from pipeline_tasks.images.codec import Mask, Pixels
from pipeline_tasks.sample.plate import SAMPLES_PER_PX, machine_plate
from pipeline_tasks.seeds import derive_seed

VISIBLE_CHANGE = 4.0
"""Grey levels before noise: a smaller change is neither drawn nor in the mask, so that the two agree exactly."""

CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


class Photograph(NamedTuple):
    """RGB uint8 pixels [H, W, 3] and the defect's mask, bool [H, W], empty on a good plate."""

    pixels: Pixels
    mask: Mask


def photograph(seed: int, name: str, defect: str | None = None, severity: Severity | None = None) -> Photograph:
    """Draw the plate called `name`, good or with a defect of DEFECTS in one of SEVERITIES.

    Plate, lighting and sensor noise depend on seed and name alone: with and without a defect, the image is the same
    outside the mask.
    """

    def random(what: str) -> np.random.Generator:
        return np.random.default_rng(derive_seed(seed, "sample", name, what))

    plate = machine_plate(random("plate"))
    image = expose(plate.light, SAMPLES_PER_PX)
    noise = random("sensor").standard_normal(image.shape, np.float32)
    mask = np.zeros(image.shape[:2], bool)
    if defect and severity:
        change = _change(random(defect), plate.face, defect, severity)
        damaged = expose(plate.light * (1 + change), SAMPLES_PER_PX)
        mask = _visible(damaged - image)
        image = np.where(mask[..., None], damaged, image)
    return Photograph(read_out(image, noise), mask)


def _change(rng: np.random.Generator, face: Face, defect: str, severity: Severity) -> Field:
    """Return the defect's change of light, which ends with the face: chamfers and holes stay as they are."""
    on_face = ramp(face.clearance, 1, 2)[..., None]
    return np.asarray(on_face * DEFECTS[defect](rng, face, severity), np.float32)


def _visible(difference: Field) -> Mask:
    """Return where an image changed visibly, gaps closed of a pixel where a change turns from dark to bright."""
    changed = (np.abs(difference).max(axis=2) >= VISIBLE_CHANGE).astype(np.uint8)
    return cv2.morphologyEx(changed, cv2.MORPH_CLOSE, CROSS).astype(bool)
