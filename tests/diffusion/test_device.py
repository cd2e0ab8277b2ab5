import pytest
import torch

from pipeline_tasks.diffusion.device import check_devices, pick_device
from pipeline_tasks.errors import ConfigError


def test_every_process_needs_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    check_devices("auto", 2)
    check_devices("cpu", 3)
    with pytest.raises(ConfigError, match=r"processes is 3, but PyTorch sees 2 GPUs"):
        check_devices("auto", 3)


def test_a_gpu_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == torch.device("cpu")
    with pytest.raises(ConfigError, match="sees no GPU here"):
        pick_device("cuda")
