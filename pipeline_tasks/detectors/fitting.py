"""How every detector is built and trained: weights of a seed alone, AdamW, a learning rate that decays as a cosine."""

import contextlib
import io
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pipeline_tasks.diffusion.device import pick_dtype


def build(make: Callable[[], Any], seed: int) -> Any:
    """Return the network that `make` makes, channels last, with weights drawn from `seed`; nothing is printed.

    The global random state stays as it is.
    """
    with torch.random.fork_rng(devices=[]), contextlib.redirect_stdout(io.StringIO()):  # MONAI's constructors print
        torch.manual_seed(seed)
        return make().to(memory_format=torch.channels_last)


def fit(
    network: nn.Module, loss: Callable[[], Tensor], steps: int, learning_rate: float, advance: Callable[[], object]
) -> None:
    """Lower what `loss` gives, of a new batch at each call, for `steps` steps; `advance` is called after each.

    The network is then set to evaluate. Equal networks and batches give equal weights on one machine's CPU.
    """
    optimiser = torch.optim.AdamW(network.parameters(), learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    network.train()
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        for _ in range(steps):
            value = loss()
            optimiser.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            advance()
    network.eval()


def run(network: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Return what `network` gives for `images` [B, C, H, W], float32; it computes in bfloat16 where that is native."""
    with torch.autocast(images.device.type, pick_dtype("auto", images.device)):
        return network(images.contiguous(memory_format=torch.channels_last)).float()
