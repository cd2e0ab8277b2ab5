"""Where training leaves its state."""

from typing import Protocol

from torch import Tensor


class Checkpoints(Protocol):
    """Where training leaves its state between steps: tensors by name, as safetensors holds them."""

    def load(self) -> dict[str, Tensor] | None:
        """Return the newest state, or None if there is none."""

    def save(self, state: dict[str, Tensor]) -> None:
        """Keep `state` in place of the one before."""
