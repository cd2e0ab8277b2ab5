"""Flow matching in the hole: the straight path from noise to pixels, its loss, and Euler sampling (METHODS section 3a).

x_t = (1 - t) noise + t pixels, velocity v = pixels - noise (rectified flow; Lipman et al. 2023, Liu et al. 2023).
"""

from collections.abc import Callable

import torch
from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]
"""(noised [B, 3, H, W], time [B]) -> velocity [B, 3, H, W]."""


def hole_loss(predict: Velocity, pixels: Tensor, hole: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """Return the mean squared velocity error over hole pixels, averaged per sample first (scalar).

    pixels, noise: [B, 3, H, W]; hole: [B, 1, H, W] in {0, 1}; time: [B] in 0..1. Outside the hole the network sees the
    clean pixels, and no error is counted.
    """
    t = time[:, None, None, None]
    noised = torch.where(hole > 0, (1 - t) * noise + t * pixels, pixels)
    error = (predict(noised, time).float() - (pixels - noise)).square() * hole
    return (error.sum(dim=(1, 2, 3)) / (3 * hole.sum(dim=(1, 2, 3)).clamp(min=1))).mean()


def euler(velocities: Callable[[list[Tensor], float], list[Tensor]], states: list[Tensor], steps: int) -> list[Tensor]:
    """Return `states` after `steps` Euler steps along `velocities(states, t)` from noise (t = 0) to pixels (t = 1).

    A velocity of zero leaves a pixel as it is: that is how the context stays.
    """
    for step in range(steps):
        states = [x + v / steps for x, v in zip(states, velocities(states, step / steps), strict=True)]
    return states
