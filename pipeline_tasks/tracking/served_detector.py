"""A detector as MLflow serves it: a script that a registered model carries, beside the detector's own files.

MLflow runs it to load the model (models from code), so that nothing is unpickled.
"""

import sys
from pathlib import Path
from typing import Any

import cv2
import mlflow.pyfunc  # noqa: TID253 - MLflow itself runs this file
import numpy as np
from scipy.special import expit

_PLUGIN = ("pipeline_tasks", "pipeline_tasks.lineage", "pipeline_tasks.lineage.dataset_source")
if {name for name in sys.modules if name.partition(".")[0] == _PLUGIN[0]} <= set(_PLUGIN):
    # MLflow has imported its data set source from the package that is installed; the model goes by its own copy.
    for _name in _PLUGIN:
        sys.modules.pop(_name, None)

from pipeline_tasks.detectors.kinds import Localiser, load_localiser  # noqa: E402
from pipeline_tasks.detectors.windows import Floats, as_scene  # noqa: E402
from pipeline_tasks.images.codec import Pixels  # noqa: E402


class ServedDetector(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Marks the defect on each image of a batch."""

    localiser: Localiser

    def load_context(self, context: Any) -> None:
        """Read the detector; it computes on a GPU where there is one. Raises ModelError for damaged files."""
        (folder,) = context.artifacts.values()
        self.localiser = load_localiser(Path(folder))

    def predict(self, context: Any, model_input: np.ndarray, params: Any = None) -> Floats:
        """Return the probability that a pixel is of a defect, float32 [B, H, W], for RGB images uint8 [B, H, W, 3]."""
        found = np.empty(model_input.shape[:3], np.float32)
        for number, image in enumerate(model_input):
            found[number] = probabilities(self.localiser, image)
        return found


def probabilities(localiser: Localiser, image: Pixels) -> Floats:
    """Return the probability of 'defect' for each pixel of an RGB image uint8 [H, W, 3], float32 [H, W].

    A larger image than the detector learned from is scaled down for it, and what it says is scaled up again.
    """
    height, width = image.shape[:2]
    logits = localiser.score_map(as_scene(image, np.zeros((height, width), bool), localiser.max_image_px))
    if logits.shape != (height, width):
        logits = np.asarray(cv2.resize(logits, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    return np.asarray(expit(logits), np.float32)


mlflow.models.set_model(ServedDetector())
