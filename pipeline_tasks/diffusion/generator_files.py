"""The files of a trained generator on a base model: a card, and networks in diffusers' format."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline_tasks.diffusion.base_model import BaseModel
from pipeline_tasks.errors import DataError, ModelError
from pipeline_tasks.storage import read_json

if TYPE_CHECKING:
    from diffusers import ModelMixin

CARD = "generator.json"
AGAIN = "delete the folder and run `dvc repro train`, or fetch it with `dvc pull`"

Network = TypeVar("Network", bound="ModelMixin")


def read_card(folder: Path, kind: str, base: BaseModel, own: Iterable[str]) -> dict[str, Any]:
    """Return what the card in `folder` says of the keys `own`.

    Raises ModelError if it is no card of a `kind` generator, or the generator was trained on another base.
    """
    path = folder / CARD
    try:
        card: dict[str, Any] = read_json(path)
        if missing := {"base", *own} - card.keys():
            raise DataError(f"it lacks {sorted(missing)}")
    except (DataError, AttributeError) as error:
        raise ModelError(f"{path}: not the card of a {kind} generator ({error}); {AGAIN}") from error
    if card["base"] != base.digest:
        raise ModelError(
            f"{folder}: trained on the base model {card['base'][:12]}, this one is {base.digest[:12]}; re-run the "
            "train stage, or set backend.pretrained and backend.revision in params.yaml back"
        )
    return {key: card[key] for key in own}


def read_network(kind: type[Network], folder: Path, name: str) -> Network:
    """Return the network in `folder`, frozen, safetensors only. Raises ModelError, calling it `name`."""
    try:
        network, report = kind.from_pretrained(
            folder, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
    except Exception as error:  # diffusers and safetensors raise many kinds on damaged files
        raise ModelError(f"{folder}: the {name} cannot be loaded ({error}); {AGAIN}") from error
    if report["missing_keys"]:
        raise ModelError(f"{folder}: the {name} lacks weights {report['missing_keys'][:3]}; {AGAIN}")
    loaded: Network = network.eval().requires_grad_(False)
    return loaded
