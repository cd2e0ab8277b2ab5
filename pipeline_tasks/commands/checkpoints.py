"""Training state on disk, as safetensors: nothing is unpickled."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_tasks.storage import atomic_file

if TYPE_CHECKING:
    from torch import Tensor

STATE = "state.safetensors"


class FolderCheckpoints:
    """Keeps the newest state in one folder; `Checkpoints` of diffusion/training.py."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / STATE

    def load(self) -> "dict[str, Tensor] | None":
        """Return the newest state, or None; a file that cannot be read counts as none, and training starts over."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return dict(load_file(self.path))
        except FileNotFoundError:
            return None
        except SafetensorError as error:
            print(f"{self.path}: damaged ({error}); training starts over")
            return None

    def save(self, state: "dict[str, Tensor]") -> None:
        """Replace the state atomically."""
        from safetensors.torch import save_file

        with atomic_file(self.path) as partial:
            save_file(state, partial)
