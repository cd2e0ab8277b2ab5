"""Inception-v3 (Szegedy et al. 2016) without weights, its layers named as torchvision and torch-fidelity name them.

Written out because no installed library has it: torchvision's wheels do not load beside every build of torch.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

SIDE_PX = 299
SMALLEST_SIDE_PX = 75
"""Anything smaller is gone before the last layer."""
WIDTH = 2048
FID_CLASSES = 1008
"""Classes of TensorFlow's network of 2015-12-05, for which IS, FID and KID were defined. It pools otherwise."""
Kernel = tuple[int, int]
Chain = Mapping[str, tuple[int, Kernel | None]]
"""Convolutions one after the other: name -> width and kernel; None is a FORK."""
ONE, THREE, FIVE, ROW, COLUMN = (1, 1), (3, 3), (5, 5), (1, 7), (7, 1)
FORK = None
"""A row and a column of three side by side, their names ending in a and b."""


class Convolution(nn.Module):
    """A convolution [B, width_in, H, W] -> [B, width, h, w], batch normalisation and ReLU."""

    def __init__(self, width_in: int, width: int, kernel: Kernel, stride: int = 1, padding: Kernel = (0, 0)) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width_in, width, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(width, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.bn(self.conv(x)))


class Mixed(nn.Module):
    """Chains of convolutions side by side, concatenated, and last the pooled input, through `pooled` channels.

    Where `pooled` is 0 the pooled input is taken as it is, and the last convolution of each chain strides by 2 too.
    """

    def __init__(self, width_in: int, chains: Sequence[Chain], pool: nn.Module, pooled: int = 0) -> None:
        super().__init__()
        self.pool = pool
        self.steps = [self._add(width_in, chain, strides=not pooled) for chain in chains]
        self.branch_pool = Convolution(width_in, pooled, ONE) if pooled else nn.Identity()

    def _add(self, width_in: int, chain: Chain, *, strides: bool) -> list[tuple[str, ...]]:
        steps: list[tuple[str, ...]] = []
        for name, (width, kernel) in chain.items():
            parts = {name: kernel} if kernel else {f"{name}a": (1, 3), f"{name}b": (3, 1)}
            for part, sides in parts.items():
                last = strides and name == list(chain)[-1]
                same = (sides[0] // 2, sides[1] // 2)
                added = Convolution(width_in, width, sides, 2) if last else Convolution(width_in, width, sides, 1, same)
                self.add_module(part, added)
            steps.append(tuple(parts))
            width_in = width * len(parts)
        return steps

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, the widths' sum, h, w]."""
        found = []
        for steps in self.steps:
            y = x
            for names in steps:
                y = torch.cat([self.get_submodule(name)(y) for name in names], 1)
            found.append(y)
        return torch.cat([*found, self.branch_pool(self.pool(x))], 1)


class InceptionV3(nn.Module):
    """Inception-v3 of as many classes as the weights have: with FID_CLASSES the network of FID, else torchvision's."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        fid = classes == FID_CLASSES
        around = nn.AvgPool2d(3, 1, 1, count_include_pad=not fid)
        self.pool = nn.MaxPool2d(3, 2)
        self.Conv2d_1a_3x3 = Convolution(3, 32, THREE, 2)
        self.Conv2d_2a_3x3 = Convolution(32, 32, THREE)
        self.Conv2d_2b_3x3 = Convolution(32, 64, THREE, 1, ONE)
        self.Conv2d_3b_1x1 = Convolution(64, 80, ONE)
        self.Conv2d_4a_3x3 = Convolution(80, 192, THREE)
        for name, (width_in, pooled) in {"5b": (192, 32), "5c": (256, 64), "5d": (288, 64)}.items():
            self.add_module(f"Mixed_{name}", Mixed(width_in, _FINE, around, pooled))
        self.Mixed_6a = Mixed(288, _TO_MIDDLE, self.pool)
        for name, width in {"6b": 128, "6c": 160, "6d": 160, "6e": 192}.items():
            self.add_module(f"Mixed_{name}", Mixed(768, _middle(width), around, 192))
        self.Mixed_7a = Mixed(768, _TO_COARSE, self.pool)
        self.Mixed_7b = Mixed(1280, _COARSE, around, 192)
        self.Mixed_7c = Mixed(2048, _COARSE, nn.MaxPool2d(3, 1, 1) if fid else around, 192)
        self.fc = nn.Linear(WIDTH, classes)
        self.bias = not fid

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the pooled features [B, WIDTH] and the logits [B, classes] of pictures [B, 3, H, W], -1..1.

        The logits of FID's network are without bias, as IS was defined.
        """
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.pool(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(self.pool(x))))
        for name in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c"):
            x = self.get_submodule(f"Mixed_{name}")(x)
        features = x.mean((2, 3))
        return features, nn.functional.linear(features, self.fc.weight, self.fc.bias if self.bias else None)


_FINE: Sequence[Chain] = (
    {"branch1x1": (64, ONE)},
    {"branch5x5_1": (48, ONE), "branch5x5_2": (64, FIVE)},
    {"branch3x3dbl_1": (64, ONE), "branch3x3dbl_2": (96, THREE), "branch3x3dbl_3": (96, THREE)},
)
_TO_MIDDLE: Sequence[Chain] = (
    {"branch3x3": (384, THREE)},
    {"branch3x3dbl_1": (64, ONE), "branch3x3dbl_2": (96, THREE), "branch3x3dbl_3": (96, THREE)},
)
_TO_COARSE: Sequence[Chain] = (
    {"branch3x3_1": (192, ONE), "branch3x3_2": (320, THREE)},
    {f"branch7x7x3_{at}": (192, kernel) for at, kernel in enumerate((ONE, ROW, COLUMN, THREE), 1)},
)
_COARSE: Sequence[Chain] = (
    {"branch1x1": (320, ONE)},
    {"branch3x3_1": (384, ONE), "branch3x3_2": (384, FORK)},
    {"branch3x3dbl_1": (448, ONE), "branch3x3dbl_2": (384, THREE), "branch3x3dbl_3": (384, FORK)},
)


def _middle(width: int) -> Sequence[Chain]:
    return (
        {"branch1x1": (192, ONE)},
        {"branch7x7_1": (width, ONE), "branch7x7_2": (width, ROW), "branch7x7_3": (192, COLUMN)},
        {
            f"branch7x7dbl_{at}": (192 if at == 5 else width, kernel)
            for at, kernel in enumerate((ONE, COLUMN, ROW, COLUMN, ROW), 1)
        },
    )
