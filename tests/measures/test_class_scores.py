import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from pipeline_tasks.measures.classes import classification_scores, predicted_classes

CLASSES = ("good", "pit", "scratch")


def predictions(seed, classes, images=60):
    """True classes and probabilities that lean towards them."""
    rng = np.random.default_rng(seed)
    index = rng.integers(0, len(classes), images)
    probabilities = rng.dirichlet(np.ones(len(classes)), images) + 0.5 * np.eye(len(classes))[index]
    return [classes[i] for i in index], probabilities / probabilities.sum(axis=1, keepdims=True)


def test_scores_of_several_classes_are_scikit_learns():
    truth, probabilities = predictions(0, CLASSES)
    predicted = np.array(CLASSES)[probabilities.argmax(axis=1)]
    assert classification_scores(truth, probabilities, CLASSES) == {
        "accuracy": pytest.approx(accuracy_score(truth, predicted)),
        "f1": pytest.approx(f1_score(truth, predicted, average="macro")),
        "image_auroc": pytest.approx(roc_auc_score(np.array(truth) != "good", -probabilities[:, 0])),
    }


@pytest.mark.parametrize("classes", [("good", "pit"), ("pit", "good")])
def test_of_good_and_one_defect_the_f1_is_the_defects(classes):
    truth, probabilities = predictions(1, classes)
    predicted = predicted_classes(probabilities, classes)
    scores = classification_scores(truth, probabilities, classes)
    assert scores["f1"] == pytest.approx(f1_score(truth, predicted, pos_label="pit"))
    assert scores["f1"] != pytest.approx(f1_score(truth, predicted, average="macro"))


def test_two_defects_without_normal_images_count_alike_and_have_no_auroc():
    truth, probabilities = predictions(2, ("pit", "scratch"))
    scores = classification_scores(truth, probabilities, ("pit", "scratch"))
    predicted = predicted_classes(probabilities, ("pit", "scratch"))
    assert scores["f1"] == pytest.approx(f1_score(truth, predicted, average="macro"))
    assert scores["image_auroc"] is None


def test_a_class_without_images_does_not_enter_the_f1():
    probabilities = np.array([[0.8, 0.2, 0], [0.1, 0.9, 0], [0.1, 0.4, 0.5]])
    scores = classification_scores(["good", "pit", "pit"], probabilities, CLASSES)
    assert scores["f1"] == pytest.approx((1 + 2 / 3) / 2)
    assert scores["accuracy"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(("truth", "f1"), [("good", None), ("pit", 1)])
def test_images_of_one_kind_have_no_auroc(truth, f1):
    probabilities = np.eye(2)[[0 if truth == "good" else 1] * 3]
    scores = classification_scores([truth] * 3, probabilities, ("good", "pit"))
    assert scores == {"accuracy": 1, "f1": f1, "image_auroc": None}


def test_nothing_to_score():
    scores = classification_scores([], np.zeros((0, 3)), CLASSES)
    assert scores == {"accuracy": None, "f1": None, "image_auroc": None}
