"""The files of a prior, which the inpainting generator may start from: found, and held against their digests."""

from pathlib import Path
from typing import Any

from pipeline_tasks.diffusion.file_digests import describe_files
from pipeline_tasks.errors import ConfigError, DataError, ModelError
from pipeline_tasks.storage import read_json

KEY = "train.init"
CARD = "prior.json"
FILES = (CONFIG, WEIGHTS) = ("config.json", "diffusion_pytorch_model.fp16.safetensors")
"""The network as diffusers has it."""
CONDITIONING = 1
"""What a prior has learned to read: raised whenever a plane that the network sees, or the start of the flow, changes
its meaning."""
REMEDY = f"restore it, or set {KEY} in params.yaml to 'scratch'"


def read_prior(folder: Path) -> dict[str, Any]:
    """Return the prior.json of the prior in `folder`, whose files are as it says: conditioning, files, digest.

    Raises ConfigError if there is no such folder, ModelError if a file is missing or damaged, or the prior was made
    for a network that reads other planes.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder, so no prior to start from; {REMEDY}")
    for name in (CARD, *FILES):
        if not (folder / name).is_file():
            raise ModelError(f"{folder / name}: missing; {REMEDY}")
    card = _read_card(folder / CARD)
    if card["conditioning"] != CONDITIONING:
        raise ModelError(
            f"{folder / CARD}: the prior was made for conditioning {card['conditioning']}, and the network of this "
            f"version reads {CONDITIONING}; make it again with `make prior`, or set {KEY} in params.yaml to 'scratch'"
        )
    for name, found in describe_files(folder, FILES)["files"].items():
        if found != card["files"].get(name):
            raise ModelError(f"{folder / name}: damaged, for it is not what {CARD} says; {REMEDY}")
    return card


def _read_card(path: Path) -> dict[str, Any]:
    try:
        card: dict[str, Any] = read_json(path)
        if lacking := {"conditioning", "files", "digest"} - card.keys():
            raise DataError(f"it lacks {', '.join(sorted(lacking))}")
    except (DataError, AttributeError) as error:
        raise ModelError(f"{path}: not the card of a prior ({error}); {REMEDY}") from error
    return card
