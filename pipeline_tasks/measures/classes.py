"""Scores of a detector that names the defect of a whole image."""

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import accuracy_score, f1_score

from pipeline_tasks.measures.pixels import Reals
from pipeline_tasks.measures.scored import image_scores
from pipeline_tasks.schema import GOOD

CLASS_SCORES = ("accuracy", "f1", "image_auroc")


def classification_scores(
    truth: Sequence[str], probabilities: Reals, classes: Sequence[str]
) -> dict[str, float | None]:
    """Return CLASS_SCORES, each 0..1, of images whose classes are `truth`, given `probabilities` [N, C] of `classes`.

    The likeliest class is the prediction. F1 is the mean over the classes in `truth`; of 'good' and one defect, it is
    the defect's. The AUROC tells defect images from normal ones by the probability of 'good', and is None where images
    of either kind, or the class, are missing; the others are None where there is nothing to score.
    """
    predicted = predicted_classes(probabilities, classes)
    scored = sorted(set(truth) - ({GOOD} if len(classes) == 2 and GOOD in classes else set()))
    return {
        "accuracy": float(accuracy_score(truth, predicted)) if truth else None,
        "f1": float(f1_score(truth, predicted, labels=scored, average="macro", zero_division=0)) if scored else None,
        "image_auroc": _defect_auroc(truth, probabilities, classes),
    }


def predicted_classes(probabilities: Reals, classes: Sequence[str]) -> list[str]:
    """Return the likeliest of `classes` for each row of `probabilities` [N, C]."""
    return [classes[index] for index in np.argmax(probabilities, axis=1)]


def _defect_auroc(truth: Sequence[str], probabilities: Reals, classes: Sequence[str]) -> float | None:
    if GOOD not in classes:
        return None
    defective = 1 - probabilities[:, list(classes).index(GOOD)].astype(np.float64)
    is_good = np.array([name == GOOD for name in truth], bool)
    return image_scores(defective[is_good].tolist(), defective[~is_good].tolist())["image_auroc"]
