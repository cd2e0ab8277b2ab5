"""The layers against what torchvision 0.29 and torch-fidelity 0.4 gave for the same weights and the same picture."""

import pytest
import torch

from pipeline_tasks.measures.inception import FID_CLASSES, SMALLEST_SIDE_PX, WIDTH, InceptionV3

pytestmark = pytest.mark.usefixtures("one_thread")
TORCHVISION = [3.893467903137207, 2.625514268875122, 3.130089282989502, 0.8417333960533142, -1.8066328763961792]
TORCH_FIDELITY = [4.693243980407715, 3.8740224838256836, 3.7952280044555664, -0.5819168090820312, -4.464761734008789]


def waves(shape):
    return torch.sin(torch.arange(torch.Size(shape).numel(), dtype=torch.float64) ** 1.5).reshape(shape).float()


def with_waves(network):
    """Give every weight a value of its own that any library can be given too."""
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            count = torch.arange(value.numel(), dtype=torch.float64)
            wave = torch.sin(count**1.5 + len(name)).reshape(value.shape)
            if name.endswith(("var", "bn.weight")):
                value.copy_(1 + wave / 2)
            else:
                value.copy_(wave / 10 if value.dim() == 1 else 2 * wave / value[0].numel() ** 0.5)
    return network.eval()


@pytest.fixture(scope="module")
def empty():
    """Makes networks without drawing weights that are replaced anyway."""

    def make(classes):
        with torch.device("meta"):
            network = InceptionV3(classes)
        return network.to_empty(device="cpu")

    return make


@torch.no_grad()
def test_it_is_torchvision_s_network(empty):
    network = with_waves(empty(1000))
    assert sum(weight.numel() for weight in network.parameters()) == 23_834_568
    _, logits = network(waves((1, 3, 107, 107)))
    assert logits[0, :5].tolist() == pytest.approx(TORCHVISION, abs=2e-3)


@torch.no_grad()
def test_with_its_classes_it_is_the_network_of_fid(empty):
    picture = ((waves((1, 3, 107, 107)) + 1) * 127.5).to(torch.uint8).float()
    _, logits = with_waves(empty(FID_CLASSES))((picture - 128) / 128)
    assert logits[0, :5].tolist() == pytest.approx(TORCH_FIDELITY, abs=2e-3)


@torch.no_grad()
def test_the_smallest_picture_reaches_the_end(empty):
    network = with_waves(empty(1000))
    features, logits = network(waves((2, 3, SMALLEST_SIDE_PX, SMALLEST_SIDE_PX)))
    assert (features.shape, logits.shape) == ((2, WIDTH), (2, 1000))
    with pytest.raises(RuntimeError, match="size"):
        network(waves((2, 3, SMALLEST_SIDE_PX - 1, SMALLEST_SIDE_PX - 1)))
