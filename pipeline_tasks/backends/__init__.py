"""Generators behind one protocol: inpainting and paste."""

from pathlib import Path

from pipeline_tasks.backends.protocol import Backend
from pipeline_tasks.params import Generate


def load_backend(name: str, model: Path, params: Generate) -> Backend:
    """Return the backend called `name`; `model` is the folder the train stage wrote."""
    if name == "paste":
        from pipeline_tasks.backends.paste import PasteBackend

        return PasteBackend(params)
    from pipeline_tasks.backends.inpainting import InpaintingBackend

    return InpaintingBackend.load(model, params)
