"""Small networks with random weights, and views to show them."""

from pathlib import Path

import numpy as np


def tiny_resnet(seed=0, labels=3):
    """Make a ResNet-10 with random weights, for evaluation."""
    import torch
    from transformers import ResNetConfig, ResNetForImageClassification

    config = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 12, 16], depths=[1, 1, 1, 1], layer_type="basic", num_labels=labels
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ResNetForImageClassification(config).eval()


def as_input(views):
    """Return views as a network takes them: [B, 3, side, side], about -1..1."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(views.transpose(0, 3, 1, 2))).float() / 127.5 - 1


def noise_views(count, seed=0, low=0, high=256, side=32):
    """Return random views, each of another brightness and contrast."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(count, side, side, 3)) * rng.uniform(10, 40, (count, 1, 1, 1))
    return np.clip(noise + rng.uniform(low, high, (count, 1, 1, 3)), 0, 255).astype(np.uint8)


def save_alexnet(file: Path, seed=0, learned=False):
    """Save AlexNet's convolutions with random weights, and with `learned` LPIPS' weights of their channels."""
    import torch
    from safetensors.torch import save_file

    random = torch.Generator().manual_seed(seed)
    shapes = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
    weights = {"classifier.6.bias": torch.zeros(1000)}
    for at, (place, (width, width_in, kernel)) in enumerate(shapes.items()):
        kernels = torch.randn(width, width_in, kernel, kernel, generator=random)
        weights[f"features.{place}.weight"] = kernels * (2 / (width_in * kernel**2)) ** 0.5
        weights[f"features.{place}.bias"] = torch.randn(width, generator=random) / 10
        if learned:
            weights[f"lin{at}.model.1.weight"] = torch.rand(1, width, 1, 1, generator=random)
    save_file(weights, file)
    return file
