"""The files of a trained detector: a card, JSON, and its weights, safetensors."""

from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import shorten
from typing import Any, TypeVar

from torch import nn

from pipeline_tasks.errors import DataError, ModelError
from pipeline_tasks.storage import atomic_folder, read_json, write_json

CARD = "detector.json"
WEIGHTS = "detector.safetensors"
REASON_LENGTH = 300
"""Characters of a library's error that are passed on: torch names every weight that does not fit."""
AGAIN = "train the detector again, or fetch it from where it was registered"
KEYS = {
    "unet": {"features", "max_image_px"},
    "draem": {"channels", "features", "max_image_px"},
    "classifier": {"network", "classes", "resolution_px"},
}
"""What a card says of each kind of detector."""

Network = TypeVar("Network", bound=nn.Module)


def save(folder: Path, card: Mapping[str, Any], network: nn.Module) -> None:
    """Write the card and the weights of `network`; together they take the place of `folder`, whatever was there."""
    from safetensors.torch import save_file

    with atomic_folder(folder) as fresh:
        write_json(fresh / CARD, dict(card))
        save_file({name: value.cpu().contiguous() for name, value in network.state_dict().items()}, fresh / WEIGHTS)


def read_card(folder: Path) -> dict[str, Any]:
    """Return the card in `folder`, which has its `kind` and the KEYS of that. Raises ModelError if there is none."""
    path = folder / CARD
    try:
        card: dict[str, Any] = read_json(path)
        if missing := KEYS[card["kind"]] - card.keys():
            raise DataError(f"it lacks {sorted(missing)}")
    except (DataError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path}: not the card of a detector ({error}); {AGAIN}") from error
    return card


def restore(folder: Path, build: Callable[[], Network]) -> Network:
    """Return the network that `build` makes with the weights in `folder`, set to evaluate. Raises ModelError."""
    from safetensors.torch import load_file

    try:
        network = build()
        network.load_state_dict(load_file(folder / WEIGHTS))
    except Exception as error:  # a damaged card or file, or weights of another network: many kinds
        reason = shorten(str(error), REASON_LENGTH)
        raise ModelError(f"{folder / WEIGHTS}: these weights cannot be loaded ({reason}); {AGAIN}") from error
    return network.eval()
