"""How long a detector learns: equally many steps whatever it learns from, or epochs over what it has (METHODS 5)."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from pipeline_tasks.detector_params import Detector, Training
from pipeline_tasks.detectors.windows import Mix, Scene, TrainingScenes

Kind = Literal["unet", "draem", "classifier"]


def training_of(kind: Kind, params: Detector) -> Training:
    """Return the section that says how a kind of detector learns."""
    return params if kind == "unet" else params.draem if kind == "draem" else params.classifier


def steps_of(kind: Kind, params: Detector, images: int) -> int:
    """Return the optimiser steps of an arm that has `images` images, real and synthetic ones together."""
    training = training_of(kind, params)
    if params.budget == "equal-steps":
        return training.steps
    return training.epochs * math.ceil(images / training.batch_size)


def count_images(kind: Kind, real: Mapping[str, Sequence[Scene]], mixes: Mapping[str, Mix]) -> int:
    """Return how many images an epoch of an arm passes over; see `TrainingScenes` for `real` and `mixes`.

    DRAEM learns from normal images, a share of which is replaced, so its epoch is as long without synthetic images.
    """
    material = TrainingScenes(real, mixes)
    if kind == "draem":
        return len(material.normals or material.defects)
    shown = sum(source.is_real and mixes[source.defect].shows_real for source in material.defects)
    return len(material.normals) + shown + sum(len(mix.synthetic) for mix in mixes.values() if mix.ratio > 0)
