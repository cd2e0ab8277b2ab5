"""Where and in what precision a model runs."""

import torch

from pipeline_tasks.errors import ConfigError


def pick_device(wanted: str) -> torch.device:
    """Return the device called 'auto', 'cpu' or 'cuda'. Raises ConfigError if CUDA is wanted and absent."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ConfigError("params.yaml: device is 'cuda' but PyTorch sees no GPU here; use 'auto' or 'cpu'")
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def pick_dtype(wanted: str, device: torch.device) -> torch.dtype:
    """Return the autocast type for 'auto', 'float32' or 'bfloat16'; auto is bfloat16 where the hardware has it."""
    if wanted != "auto":
        return torch.bfloat16 if wanted == "bfloat16" else torch.float32
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported()
    else:
        native = bool(torch.cpu.get_capabilities().get("avx512_bf16"))
    return torch.bfloat16 if native else torch.float32


def count_devices(wanted: str) -> int:
    """Return how many GPUs 'auto', 'cpu' or 'cuda' means here; 1 on a CPU. Raises as `pick_device`."""
    return torch.cuda.device_count() if pick_device(wanted).type == "cuda" else 1


def check_devices(wanted: str, processes: int) -> None:
    """Raise ConfigError if `processes` processes on 'auto', 'cpu' or 'cuda' would not have a GPU each."""
    if pick_device(wanted).type == "cuda" and processes > count_devices(wanted):
        raise ConfigError(f"params.yaml: processes is {processes}, but PyTorch sees {count_devices(wanted)} GPUs")
