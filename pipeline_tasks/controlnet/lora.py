"""Low-rank adapters on the base's attention (Hu et al. 2021), in diffusers' own format."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel

PROJECTIONS = ["to_q", "to_k", "to_v", "to_out.0"]
ADAPTER = "default"
FILE = "pytorch_lora_weights.safetensors"


def add_lora(unet: "UNet2DConditionModel", rank: int, seed: int) -> None:
    """Add adapters of `rank`, which change nothing yet, to every attention of `unet`; they alone are trainable."""
    from peft import LoraConfig

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=PROJECTIONS))


def save_lora(unet: "UNet2DConditionModel", folder: Path) -> None:
    """Write the adapters of `unet` into `folder`."""
    unet.save_lora_adapter(folder, adapter_name=ADAPTER, weight_name=FILE)


def load_lora(unet: "UNet2DConditionModel", folder: Path) -> None:
    """Add the adapters in `folder` to `unet`, frozen."""
    own = {"use_safetensors": True, "local_files_only": True}
    unet.load_lora_adapter(folder, prefix=None, adapter_name=ADAPTER, weight_name=FILE, **own)
    unet.requires_grad_(False)
