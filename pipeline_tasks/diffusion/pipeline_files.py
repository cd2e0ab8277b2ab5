"""The files of a diffusers pipeline folder: which of them a base model is loaded from, and whether they are there."""

import json
from collections.abc import Collection
from pathlib import Path

from pipeline_tasks.errors import ModelError

INDEX = "model_index.json"
CLASSES = {
    "vae": ("AutoencoderKL",),
    "text_encoder": ("CLIPTextModel",),
    "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
    "unet": ("UNet2DConditionModel",),
    "scheduler": (),
}
"""The parts of a pipeline and the classes that BaseModel knows; any noise schedule is sampled by DDIM."""
CONFIGS = {
    "vae": ("config.json",),
    "text_encoder": ("config.json",),
    "tokenizer": ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt"),
    "unet": ("config.json",),
    "scheduler": ("scheduler_config.json",),
}
WEIGHTS = {
    "vae": "vae/diffusion_pytorch_model",
    "text_encoder": "text_encoder/model",
    "unet": "unet/diffusion_pytorch_model",
}
VARIANTS = {None: ".safetensors", "fp16": ".fp16.safetensors"}
"""Full precision first; weights that are published in half precision only are taken as they are."""
SMALL = [INDEX, *(f"{part}/{name}" for part, names in CONFIGS.items() for name in names)]
"""Everything but the weights."""


def files_in(folder: Path) -> set[str]:
    """Return the names of all files in `folder`, relative to it."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def variant_of(part: str, present: Collection[str]) -> str | None:
    """Return which variant of a part's weights to load: None for full precision, also if there are no weights."""
    return next((variant for variant, ending in VARIANTS.items() if WEIGHTS[part] + ending in present), None)


def needed(present: Collection[str]) -> list[str]:
    """Return which of the files `present` a base model is loaded from, sorted: no pickle, no second precision."""
    weights = [WEIGHTS[part] + VARIANTS[variant_of(part, present)] for part in WEIGHTS]
    return sorted(name for name in {*SMALL, *weights} if name in present)


def without_weights(present: Collection[str]) -> list[str]:
    """Return the parts whose weights are not among the files `present`."""
    return [part for part, name in WEIGHTS.items() if not any(name + end in present for end in VARIANTS.values())]


def check(folder: Path, where: str) -> None:
    """Raise ModelError unless `folder` holds every part of a known class, as safetensors; `where` names it."""
    present = files_in(folder)
    if INDEX not in present:
        raise ModelError(
            f"{where}: no {INDEX}, so it is no pipeline in diffusers format; set backend.pretrained to one"
        )
    _check_classes(folder / INDEX, where)
    for part, names in CONFIGS.items():
        if not any(f"{part}/{name}" in present for name in names):
            raise ModelError(f"{where}: {part}/{names[0]} is missing; download the pipeline again")
    for part in without_weights(present):
        raise ModelError(f"{where}: {_lack(part, present)}")


def _check_classes(index: Path, where: str) -> None:
    try:
        found = json.loads(index.read_bytes())
        names = {part: (found.get(part) or (None, None))[1] for part in (*CLASSES, "text_encoder_2")}
    except (ValueError, AttributeError, LookupError) as error:
        raise ModelError(f"{where}: {INDEX} is damaged ({error}); download the pipeline again") from error
    if names["text_encoder_2"]:
        raise ModelError(
            f"{where}: two text encoders (Stable Diffusion XL); take one of the Stable Diffusion 1.5 family"
        )
    for part, classes in CLASSES.items():
        if names[part] is None or (classes and names[part] not in classes):
            raise ModelError(f"{where}: the {part} is {names[part]}, needed is {' or '.join(classes) or 'one'}")


def _lack(part: str, present: Collection[str]) -> str:
    """Return what is wrong with a part that has no weights that may be loaded, and what to do."""
    pickles = sorted(
        name for name in present if name.startswith(f"{part}/") and name.endswith((".bin", ".ckpt", ".pt"))
    )
    if not pickles:
        return f"the weights {WEIGHTS[part]}.safetensors are missing; download the pipeline again, with safetensors"
    return (
        f"{pickles[0]} is a pickle, which could run code and so is not loaded; take a revision with safetensors or, "
        "if you trust it, convert it: DiffusionPipeline.from_pretrained(folder).save_pretrained(other)"
    )
