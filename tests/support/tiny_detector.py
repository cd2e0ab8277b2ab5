"""Parameters of `detector` for networks that are trained in an instant, and scenes to train them on."""

from typing import Any

import numpy as np

from pipeline_tasks.detector_params import Detector
from pipeline_tasks.detectors.windows import Mix, Scene

LEARNING = {"steps": 2, "epochs": 2, "batch_size": 4, "learning_rate": 0.01}
CLASSIFIER = {"network": "resnet18", "classes": "defects", "weights": "none", "revision": "main", "resolution_px": 32}
DETECTOR = {
    "budget": "equal-steps",
    "window_px": 32,
    "features": [8] * 5,
    "max_image_px": 64,
    "device": "cpu",
    "classifier": LEARNING | CLASSIFIER | {"learning_rate": 0.002},
    "draem": LEARNING | {"channels": [8, 16], "features": [8] * 5},
}
REAL_ONLY = {"blob": Mix((), 0.0, "flip")}


def tiny_detector(**changes: Any) -> Detector:
    """Return parameters with `changes` merged in: tiny_detector(steps=3, draem={"steps": 4})."""
    inner = {key: DETECTOR[key] | change for key, change in changes.items() if isinstance(change, dict)}
    return Detector.model_validate(LEARNING | DETECTOR | changes | inner)


def plain_scene(grey, shape=(60, 50), defect=None):
    """Return a plain scene whose windows are known by their grey, as level 0 and unit spread leave it; in slices."""
    mask = np.zeros(shape, bool)
    if defect:
        mask[defect] = True
    return Scene(np.full((*shape, 3), grey, np.uint8), mask, 0.0, -9.0)


def blob_scene(number, shape=(48, 56), blobs=2):
    """Return grey noise with some dark spots."""
    rng = np.random.default_rng(number)
    pixels, mask = rng.integers(100, 160, (*shape, 3), dtype=np.uint8), np.zeros(shape, bool)
    for _ in range(blobs):
        y, x = rng.integers(4, np.array(shape) - 12)
        mask[y : y + 7, x : x + 8] = True
    pixels[mask] -= 70
    return Scene(pixels, mask, float(pixels.mean()), float(pixels.std()))


def good_scene(number):
    """Return grey noise."""
    return blob_scene(1000 + number, blobs=0)


def base_scenes():
    """Return real scenes by defect: three of blobs, four normal ones."""
    return {"blob": [blob_scene(n) for n in range(3)], "good": [good_scene(n) for n in range(4)]}


def weights(network):
    """Return copies of all weights of a network."""
    return [tensor.clone() for tensor in network.state_dict().values()]


def same_weights(left, right):
    """Tell whether two networks are equal to the bit."""
    import torch

    return all(torch.equal(a, b) for a, b in zip(weights(left), weights(right), strict=True))


def pooled_ap(localiser, scenes):
    """Return the average precision over all pixels of `scenes`."""
    from sklearn.metrics import average_precision_score

    logits = np.concatenate([localiser.score_map(scene).ravel() for scene in scenes])
    return float(average_precision_score(np.concatenate([scene.mask.ravel() for scene in scenes]), logits))
