import json

import numpy as np
import pytest
import torch
from tiny_detector import REAL_ONLY, base_scenes, blob_scene, tiny_detector

from pipeline_tasks.detectors.budget import count_images, steps_of
from pipeline_tasks.detectors.classifier import load_classifier, train_classifier
from pipeline_tasks.detectors.detector_files import CARD, WEIGHTS
from pipeline_tasks.detectors.kinds import describe, load_localiser, train_localiser
from pipeline_tasks.detectors.unet import Unet, build_unet
from pipeline_tasks.detectors.windows import Mix
from pipeline_tasks.errors import ModelError

KINDS = ["unet", "draem"]
MADE = [blob_scene(n) for n in range(20, 29)]

pytestmark = pytest.mark.usefixtures("one_thread")


def trained(kind, params=None, mixes=REAL_ONLY, advance=lambda: None):
    return train_localiser(kind, base_scenes(), mixes, params or tiny_detector(), 0, advance)


@pytest.mark.parametrize("kind", KINDS)
def test_a_reloaded_detector_scores_as_the_trained_one(kind, tmp_path):
    made, scene = trained(kind), blob_scene(9)
    made.save(tmp_path / "detector")
    again = load_localiser(tmp_path / "detector", "cpu")
    assert np.array_equal(again.score_map(scene), made.score_map(scene))
    assert again.max_image_px == 64
    assert sorted(file.name for file in (tmp_path / "detector").iterdir()) == [CARD, WEIGHTS]


@pytest.mark.parametrize("kind", KINDS)
def test_saving_takes_the_place_of_what_was_there(kind, tmp_path):
    (tmp_path / "detector").mkdir()
    (tmp_path / "detector" / "old.bin").write_text("old")
    trained(kind).save(tmp_path / "detector")
    assert not (tmp_path / "detector" / "old.bin").exists()


def broken(folder, how):
    card, weights = folder / CARD, folder / WEIGHTS
    values = json.loads(card.read_text())
    match how:
        case "no card":
            card.unlink()
        case "no weights":
            weights.unlink()
        case "cut weights":
            weights.write_bytes(weights.read_bytes()[:-10])
        case "a pickle":
            torch.save({"a": torch.zeros(1)}, weights)
        case "a list":
            card.write_text("[]")
        case "a number":
            card.write_text("3")
        case "half a card":
            card.write_text(json.dumps({"kind": values["kind"]}))
        case "an unknown kind":
            card.write_text(json.dumps(values | {"kind": "forest"}))
        case "a kind that is none":
            card.write_text(json.dumps(values | {"kind": ["unet"]}))
        case "other widths":
            card.write_text(json.dumps(values | {"features": [4] * 5}))
        case "widths that are none":
            card.write_text(json.dumps(values | {"features": "wide"}))


@pytest.mark.parametrize("how", [
    "no card", "no weights", "cut weights", "a pickle", "a list", "a number", "half a card", "an unknown kind",
    "a kind that is none", "other widths", "widths that are none",
])  # fmt: skip
def test_damage_is_named_with_the_file(how, tmp_path):
    folder = tmp_path / "detector"
    Unet(build_unet(3, [8] * 5, 0), [8] * 5, 64).save(folder)
    broken(folder, how)
    with pytest.raises(ModelError, match=r"detector\.(json|safetensors): .*train the detector again"):
        load_localiser(folder, "cpu")


def test_a_classifier_is_no_localiser_nor_the_other_way_round(tmp_path):
    train_classifier(base_scenes(), REAL_ONLY, tiny_detector(), 0, lambda: None).save(tmp_path / "classifier")
    trained("unet").save(tmp_path / "unet")
    with pytest.raises(ModelError, match="'classifier', which does not say where"):
        load_localiser(tmp_path / "classifier", "cpu")
    with pytest.raises(ModelError, match="'unet', no classifier"):
        load_classifier(tmp_path / "unet", "cpu")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mixes", [REAL_ONLY, {"blob": Mix(MADE, 0.5, "flip")}])
def test_with_equal_steps_every_arm_takes_as_many(kind, mixes, monkeypatch):
    taken, step = [], torch.optim.AdamW.step
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda *a, **k: taken.append(1) or step(*a, **k))
    advanced = []
    trained(kind, tiny_detector(steps=3, draem={"steps": 3}), mixes, lambda: advanced.append(1))
    assert len(taken) == len(advanced) == 3


def test_with_the_papers_budget_an_epoch_is_as_long_as_the_arms_images():
    params, advanced = tiny_detector(budget="paper", epochs=2, batch_size=4), []
    mixes = {"blob": Mix(MADE, 1.0, "flip")}
    trained("unet", params, mixes, lambda: advanced.append(1))
    assert count_images("unet", base_scenes(), mixes) == 4 + 9
    assert len(advanced) == steps_of("unet", params, 13) == 2 * 4


@pytest.mark.parametrize(("mix", "images"), [
    (Mix((), 0.0, "none"), 7), (Mix(MADE, 0.0, "none"), 7), (Mix(MADE, 0.5, "none"), 16), (Mix(MADE, 1.0, "none"), 13),
    (Mix((), 1.0, "none"), 7),
])  # fmt: skip
def test_an_arms_images_are_those_that_it_may_look_at(mix, images):
    assert count_images("unet", base_scenes(), {"blob": mix}) == images
    assert count_images("classifier", base_scenes(), {"blob": mix}) == images
    assert count_images("draem", base_scenes(), {"blob": mix}) == 4


def test_a_defect_without_real_images_counts_by_its_synthetic_ones():
    assert count_images("unet", {}, {"blob": Mix(MADE, 0.5, "none")}) == 9


def test_each_kind_has_a_length_of_its_own():
    params = tiny_detector(steps=1, draem={"steps": 2}, classifier={"steps": 3})
    assert [steps_of(kind, params, 10) for kind in ("unet", "draem", "classifier")] == [1, 2, 3]


@pytest.mark.parametrize(("kind", "network"), [
    ("unet", "MONAI BasicUNet"), ("draem", "MONAI AutoEncoder and BasicUNet"), ("classifier", "resnet18"),
])  # fmt: skip
def test_the_description_says_what_is_trained_and_how(kind, network):
    found = describe(kind, tiny_detector())
    assert found["network"] == network
    assert (found["steps"], found["budget"], found["device"]) == (2, "equal-steps", "cpu")
    assert found["precision"] in {"float32", "bfloat16"}
    assert found["loss"]
    assert json.loads(json.dumps(found)) == found
    assert not {"epochs", "classifier", "draem"} & found.keys()


def test_the_description_of_the_papers_budget_names_epochs():
    found = describe("unet", tiny_detector(budget="paper"))
    assert found["epochs"] == 2
    assert "steps" not in found
