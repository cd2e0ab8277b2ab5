import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tiny_detector import REAL_ONLY, base_scenes, blob_scene, good_scene, same_weights, tiny_detector

from pipeline_tasks.detectors.classifier import load_classifier, train_classifier
from pipeline_tasks.detectors.labelled_images import LabelledImages, whole
from pipeline_tasks.detectors.residual_network import build_network, take_body
from pipeline_tasks.detectors.windows import Mix
from pipeline_tasks.errors import DataError, ModelError

pytestmark = pytest.mark.usefixtures("one_thread")


def big_blob(number):
    """Return grey noise with half of it dark: what is left of a defect when a whole image is scaled down."""
    scene = blob_scene(number, (40, 40), 0)
    scene.pixels[:, :20] //= 2
    return scene


UNSEEN = [big_blob(n) for n in range(60, 66)], [blob_scene(n, (40, 40), 0) for n in range(70, 76)]


def trained(real=None, mixes=REAL_ONLY, seed=0, **own):
    return train_classifier(real or base_scenes(), mixes, tiny_detector(classifier=own), seed, lambda: None)


@pytest.fixture(scope="module")
def two_steps():
    return trained()


def accuracy(classifier):
    shares = [classifier.probabilities(scenes).argmax(axis=1) == k for k, scenes in enumerate(UNSEEN)]
    return float(np.concatenate(shares).mean())


@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_it_tells_images_apart_that_it_has_not_seen(ratio):
    good = [blob_scene(n, (40, 40), 0) for n in range(4)]
    wrong = [blob_scene(n, (40, 40), 0) for n in range(80, 83)]
    right = [big_blob(n) for n in range(3)]
    real, made = (wrong, right) if ratio else (right, wrong)
    found = trained(
        {"blob": real, "good": good}, {"blob": Mix(made, ratio, "flip")}, steps=20, batch_size=8, learning_rate=1e-3
    )
    assert accuracy(found) > 0.8


def test_probabilities_and_features_are_of_each_image_alone(two_steps):
    scenes = [blob_scene(n) for n in range(3)]
    found = two_steps.probabilities(scenes)
    assert found.shape == (3, 2)
    assert np.allclose(found.sum(axis=1), 1, atol=1e-5)
    assert two_steps.features(scenes).shape == (3, 512)
    assert np.array_equal(two_steps.features(scenes)[1:], two_steps.features(scenes[1:]))
    assert len(np.unique(two_steps.features(scenes)[:, 0])) == 3


def test_equal_arguments_give_equal_weights_whatever_the_global_random_state(two_steps):
    torch.manual_seed(99)
    before = torch.get_rng_state()
    assert same_weights(two_steps.network, trained().network)
    assert torch.equal(before, torch.get_rng_state())
    assert not same_weights(build_network("resnet18", 2, 0), build_network("resnet18", 2, 1))


def test_it_is_reloaded_as_it_was(two_steps, tmp_path):
    two_steps.save(tmp_path / "classifier")
    again = load_classifier(tmp_path / "classifier", "cpu")
    assert again.classes == ("blob", "good")
    scenes = [blob_scene(n) for n in range(2)]
    assert np.array_equal(again.probabilities(scenes), two_steps.probabilities(scenes))
    assert {file.suffix for file in (tmp_path / "classifier").iterdir()} == {".json", ".safetensors"}


def images_of(real, mixes, **own):
    return LabelledImages(real, mixes, tiny_detector(classifier=own).classifier)


REAL = {"pit": [blob_scene(0)], "crack": [blob_scene(1)] * 5, "good": [good_scene(0)] * 30}
MIXES = dict.fromkeys(("pit", "crack"), Mix((), 0.0, "none"))


def test_classes_are_the_defects_and_good_each_drawn_as_often():
    images = images_of(REAL, MIXES, batch_size=300)
    pixels, labels = images.draw(np.random.default_rng(0))
    assert images.classes == ("crack", "pit", "good")
    assert pixels.shape == (300, 3, 32, 32)
    assert np.abs(np.bincount(labels) - 100).max() < 30
    assert np.array_equal(pixels[labels == 1][0], whole(REAL["pit"][0], 32).transpose(2, 0, 1))


def test_binary_classes_are_defect_and_good():
    images = images_of(REAL, MIXES, classes="binary", batch_size=200)
    assert images.classes == ("defect", "good")
    assert abs(np.bincount(images.draw(np.random.default_rng(0))[1])[0] - 100) < 30
    found = trained(REAL, MIXES, classes="binary", steps=1)
    assert [found.class_of(name) for name in ("pit", "good")] == ["defect", "good"]


def test_a_class_is_mixed_as_its_defects_mix_says():
    mixes = MIXES | {"pit": Mix([blob_scene(9)], 0.7, "none")}
    images = images_of(REAL, mixes, batch_size=300)
    pixels, labels = images.draw(np.random.default_rng(0))
    made = (pixels[labels == 1] == whole(blob_scene(9), 32).transpose(2, 0, 1)).all(axis=(1, 2, 3))
    assert 0.55 < made.mean() < 0.85


def test_without_normal_images_defects_are_told_apart():
    assert images_of({k: v for k, v in REAL.items() if k != "good"}, MIXES).classes == ("crack", "pit")


@pytest.mark.parametrize("classes", ["defects", "binary"])
@pytest.mark.parametrize("only", ["pit", "good"])
def test_one_class_is_nothing_to_tell_apart(only, classes):
    with pytest.raises(DataError, match="two classes"):
        images_of({only: REAL[only]}, {} if only == "good" else {only: MIXES[only]}, classes=classes)


def test_every_shape_becomes_a_square():
    assert whole(blob_scene(0, (20, 90)), 32).shape == (32, 32, 3)


@pytest.mark.parametrize("name", ["resnet34", "resnet50"])
def test_the_papers_networks_are_built(name):
    network = build_network(name, 3, 0).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 3, 32, 32)).logits.shape == (1, 3)


def pretrained(folder, name="resnet18", seed=7):
    """Save weights as transformers does, of a network with other classes."""
    network = build_network(name, 5, seed)
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, folder / "model.safetensors")
    return tiny_detector(classifier={"weights": str(folder)}).classifier, network


def test_pretrained_weights_are_taken_but_for_the_last_layer(tmp_path):
    params, source = pretrained(tmp_path)
    network = build_network("resnet18", 2, 0)
    take_body(network, params)
    assert same_weights(network.resnet, source.resnet)
    assert same_weights(network.classifier, build_network("resnet18", 2, 0).classifier)


def test_weights_of_another_network_are_refused_by_name(tmp_path):
    params, _ = pretrained(tmp_path, "resnet34")
    with pytest.raises(ModelError, match=r"detector\.classifier\.weights.*no weights of resnet18"):
        take_body(build_network("resnet18", 2, 0), params)


def test_a_folder_without_weights_is_refused(tmp_path):
    params = tiny_detector(classifier={"weights": str(tmp_path)}).classifier
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        take_body(build_network("resnet18", 2, 0), params)


def test_pretrained_weights_are_what_training_starts_from(tmp_path):
    params, source = pretrained(tmp_path)
    found = trained(weights=params.weights, steps=1, learning_rate=1e-12)
    assert torch.allclose(next(found.network.resnet.parameters()), next(source.resnet.parameters()), atol=1e-9)
