"""The pretrained transformer (Peebles & Xie 2023) that a DiT generator may start from, found, described and loaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline_tasks.diffusion.file_digests import check_unchanged, describe_files
from pipeline_tasks.diffusion.hub import folder_of
from pipeline_tasks.diffusion.pipeline_files import files_in
from pipeline_tasks.diffusion.weights import CARD
from pipeline_tasks.errors import ModelError
from pipeline_tasks.storage import read_json

if TYPE_CHECKING:
    from diffusers import DDIMScheduler, DiTTransformer2DModel

KEY = "backend.transformer"
NONE = "none"
WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"
FILES = ("transformer/config.json", WEIGHTS, "scheduler/scheduler_config.json")
"""What is needed of a DiTPipeline folder; its codec is that of Stable Diffusion 1, which the base model brings."""


@dataclass(frozen=True)
class Start:
    """A pretrained class-conditional DiT, and the noise schedule that it knows."""

    transformer: "DiTTransformer2DModel"
    scheduler: "DDIMScheduler"


def found_transformer(name: str, revision: str) -> dict[str, Any] | None:
    """Return the card of a DiT in diffusers format, a folder or a hub id: source, revision, files, digest; or None.

    Raises ModelError saying what is missing and what to do.
    """
    if name == NONE:
        return None
    folder = _located(name, revision)
    commit = None if folder == Path(name) else folder.name
    return {"source": name, "revision": commit, **describe_files(folder, FILES)}


def load_transformer(pretrained: Path) -> Start | None:
    """Return the DiT that the pretrain stage recorded in the folder `pretrained`, None if it recorded none.

    Raises ModelError if its files are missing, damaged, or not those that the stage saw.
    """
    from diffusers import DDIMScheduler, DiTTransformer2DModel

    if not (card := read_json(pretrained / CARD).get("transformer")):
        return None
    folder = _located(card["source"], card["revision"])
    check_unchanged(folder, card)
    try:
        transformer = DiTTransformer2DModel.from_pretrained(
            folder / "transformer", use_safetensors=True, local_files_only=True
        )
        scheduler = DDIMScheduler.from_pretrained(folder / "scheduler", clip_sample=False, set_alpha_to_one=False)
    except Exception as error:  # diffusers and safetensors raise many kinds on damaged files
        reason = " ".join(str(error).split())
        raise ModelError(f"{folder}: the DiT cannot be loaded ({reason}); make or download it again") from error
    return Start(transformer, scheduler)


def _located(name: str, revision: str) -> Path:
    folder = folder_of(KEY, name, revision, FILES)
    present = files_in(folder)
    for file in FILES:
        if file not in present:
            raise ModelError(f"{KEY} = '{name}' (in {folder}): {_lack(file, present)}")
    return folder


def _lack(file: str, present: set[str]) -> str:
    if file != WEIGHTS:
        return f"{file} is missing; name a DiT in diffusers format (DiTPipeline), or 'none'"
    pickles = sorted(name for name in present if name.startswith("transformer/") and name.endswith((".bin", ".pt")))
    found = f"{pickles[0]} is" if pickles else f"{file} is missing, and weights in another format would be"
    return (
        f"{found} a pickle, which could run code and so is not loaded; if you trust it, convert it and name the new "
        "folder: DiTPipeline.from_pretrained(this).save_pretrained(other)"
    )
