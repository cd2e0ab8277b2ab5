import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_features import noise_views, save_alexnet
from torch import nn
from torchmetrics.functional.image import lpips

from pipeline_tasks.errors import ModelError
from pipeline_tasks.measures.distances import mean_distance
from pipeline_tasks.measures.imagenet import alexnet_network, inception_network
from pipeline_tasks.measures.inception import InceptionV3

pytestmark = pytest.mark.usefixtures("one_thread")
KEY, CPU = "evaluate.networks", torch.device("cpu")


@pytest.fixture(scope="module")
def alexnet(tmp_path_factory):
    return save_alexnet(tmp_path_factory.mktemp("alexnet") / "alexnet.safetensors", learned=True)


@pytest.fixture(scope="module", params=[1000, 1008])
def inception(request, tmp_path_factory):
    """A file of Inception's weights as other libraries write it: with an auxiliary classifier, without counts."""
    folder = tmp_path_factory.mktemp("inception")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        weights = InceptionV3(request.param).state_dict()
    kept = {name: value for name, value in weights.items() if "num_batches" not in name}
    save_file({**kept, "AuxLogits.fc.bias": torch.zeros(1000)}, folder / "model.safetensors")
    return folder, request.param


def lpips_of_torchmetrics(file, monkeypatch):
    """Return torchmetrics' LPIPS with the weights of `file`, whose architecture it would ask torchvision for."""
    weights = load_file(file)
    kinds = [(3, 64, 11, 4, 2), "pool", (64, 192, 5, 1, 2), "pool"]
    kinds += [(192, 384, 3, 1, 1), (384, 256, 3, 1, 1), (256, 256, 3, 1, 1)]
    layers = []
    for kind in kinds:
        layers += [nn.MaxPool2d(3, 2)] if kind == "pool" else [nn.Conv2d(*kind), nn.ReLU()]
    features = nn.Sequential(*layers)
    own = {name.removeprefix("features."): value for name, value in weights.items() if name.startswith("features.")}
    features.load_state_dict(own)
    monkeypatch.setattr(lpips, "_get_tv_model_features", lambda net, pretrained: features)
    network = lpips._LPIPS(pretrained=False, pnet_rand=True)
    network.load_state_dict({name: value for name, value in weights.items() if "lin" in name}, strict=False)
    return network


def test_distances_are_lpips(alexnet, monkeypatch):
    views = noise_views(4, side=64)
    planes = torch.from_numpy(views.transpose(0, 3, 1, 2).copy()).float() / 127.5 - 1
    reference = lpips_of_torchmetrics(alexnet, monkeypatch)
    pairs = [(one, other) for one in range(4) for other in range(one)]
    expected = [float(reference(planes[[one]], planes[[other]])) for one, other in pairs]
    network = alexnet_network(str(alexnet), KEY, CPU)
    seen = network.look(views).appearance
    found = [float((seen[one] - seen[other]).square().sum()) for one, other in pairs]
    assert found == pytest.approx(expected, rel=1e-4)
    assert mean_distance(seen, 4) == pytest.approx(np.mean(expected), rel=1e-4)
    assert (network.name, network.distance) == ("alexnet_imagenet", "lpips")


def test_without_lpips_own_weights_it_is_not_called_lpips(tmp_path):
    network = alexnet_network(str(save_alexnet(tmp_path / "a.safetensors")), KEY, CPU)
    assert network.distance == "perceptual"
    assert network.look(noise_views(2, side=64)).logits is None


def test_a_folder_is_its_file(alexnet, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(alexnet.read_bytes())
    views = noise_views(3, side=64)
    one, other = (alexnet_network(str(source), KEY, CPU) for source in (alexnet, tmp_path))
    assert (one.features(views) == other.features(views)).all()
    assert one.features(views).shape == (3, 256)


def test_inception_gives_features_and_classes(inception):
    folder, classes = inception
    network = inception_network(str(folder), KEY, CPU)
    seen = network.look(noise_views(2, side=48))
    assert (seen.features.shape, seen.logits.shape) == ((2, 2048), (2, classes))
    assert seen.appearance is None
    assert network.name == {1000: "inception_v3_imagenet", 1008: "inception_v3_fid"}[classes]


def test_weights_draw_nothing_from_the_global_state(alexnet):
    state = torch.random.get_rng_state()
    alexnet_network(str(alexnet), KEY, CPU)
    assert (torch.random.get_rng_state() == state).all()


def broken(tmp_path, how):
    """Return the file of an AlexNet that cannot be used."""
    sound, file = save_alexnet(tmp_path / "sound.safetensors", learned=True), tmp_path / "alexnet.safetensors"
    weights = load_file(sound)
    match how:
        case "cut short":
            file.write_bytes(sound.read_bytes()[:5000])
        case "a pickle":
            torch.save(weights, file)
        case "a weight is missing":
            save_file({name: value for name, value in weights.items() if name != "features.6.bias"}, file)
        case "another shape":
            save_file({**weights, "features.0.weight": torch.zeros(64, 3, 7, 7)}, file)
        case "part of LPIPS' weights":
            save_file({name: value for name, value in weights.items() if not name.startswith("lin3")}, file)
    return file


@pytest.mark.parametrize(
    "how, told",
    [
        ("cut short", "not a file of safetensors"),
        ("a pickle", "not a file of safetensors"),
        ("a weight is missing", r"1 of the network's 10 weights.*features\.6\.bias.*save_file"),
        ("another shape", r"1 of the network's 10 weights.*features\.0\.weight"),
        ("part of LPIPS' weights", "of LPIPS' weights"),
    ],
)
def test_an_unusable_file_is_named_with_what_to_do(tmp_path, how, told):
    file = broken(tmp_path, how)
    with pytest.raises(ModelError, match=told) as error:
        alexnet_network(str(file), KEY, CPU)
    assert str(file) in str(error.value)


def test_another_network_s_weights_are_no_inception(alexnet):
    with pytest.raises(ModelError, match="weights are missing or of another shape"):
        inception_network(str(alexnet), KEY, CPU)


@pytest.mark.parametrize("source", ["/nowhere/alexnet.safetensors", "./alexnet", "alexnet"])
def test_a_missing_file_is_named(source):
    with pytest.raises(ModelError, match=rf"evaluate\.networks = '{source}': no such file"):
        alexnet_network(source, KEY, CPU)


def test_a_folder_without_the_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"model\.safetensors is not a file of safetensors"):
        inception_network(str(tmp_path), KEY, CPU)
