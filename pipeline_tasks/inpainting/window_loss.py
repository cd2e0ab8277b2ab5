"""The flow's loss on training windows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pipeline_tasks.inpainting.flow import hole_loss
from pipeline_tasks.inpainting.network import condition_planes, velocity
from pipeline_tasks.inpainting.source import Grain, start
from pipeline_tasks.inpainting.training_windows import Window

if TYPE_CHECKING:
    from diffusers import UNet2DModel


def window_loss(
    unet: "UNet2DModel",
    windows: Sequence[Window],
    grains: Sequence[Grain],
    defect_count: int,
    rng: np.random.Generator,
    device: torch.device,
    dtype: torch.dtype,
) -> Tensor:
    """Return the flow's loss (scalar) on equally large windows, each with the grain of its surface, at random times."""
    pixels, hole, condition = (t.to(device) for t in to_tensors(windows, defect_count))
    side = len(windows[0].mask)
    starts = [start(g.noise(side, side, rng), w.look, g.deviation) for w, g in zip(windows, grains, strict=True)]
    noise = torch.from_numpy(np.stack(starts)).permute(0, 3, 1, 2).to(device)
    # Logit-normal times put the effort where the path is hardest to predict (Esser et al. 2024).
    time = torch.sigmoid(torch.from_numpy(rng.standard_normal(len(windows), dtype=np.float32))).to(device)
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        return hole_loss(lambda x, t: velocity(unet, x, condition, t), pixels, hole, noise, time)


def to_tensors(windows: Sequence[Window], defect_count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return pixels [B, 3, S, S], hole [B, 1, S, S] and condition [B, C, S, S] of equally large windows."""
    pixels, look = (
        torch.from_numpy(np.stack(planes)).permute(0, 3, 1, 2).float()
        for planes in ([w.pixels for w in windows], [w.look for w in windows])
    )
    hole, mask = (
        torch.from_numpy(np.stack(planes))[:, None].float()
        for planes in ([w.hole for w in windows], [w.mask for w in windows])
    )
    defect = torch.tensor([w.defect for w in windows])
    return pixels, hole, condition_planes(hole, mask, look, defect, defect_count)
