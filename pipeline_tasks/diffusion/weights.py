"""Pretrained weights: a pipeline in diffusers format, on disk or on the hub, found, described and loaded."""

from pathlib import Path
from typing import Any

from pipeline_tasks.diffusion.base_model import BaseModel, open_pipeline
from pipeline_tasks.diffusion.file_digests import check_unchanged, describe_files
from pipeline_tasks.diffusion.hub import fetch, folder_of
from pipeline_tasks.diffusion.pipeline_files import SMALL, VARIANTS, WEIGHTS, check, files_in, needed, without_weights
from pipeline_tasks.errors import ModelError
from pipeline_tasks.storage import read_json

KEY = "backend.pretrained"
CARD = "pretrained.json"
"""What the pretrain stage writes: where the weights are, their sizes and digests."""


def locate(pretrained: str, revision: str) -> Path:
    """Return the folder of a pipeline: a local one, or a hub id's in the hub's cache, downloaded if need be.

    Raises ModelError saying what is missing, where it was looked for, and how to get it.
    """
    files = [*SMALL, *(name + VARIANTS[None] for name in WEIGHTS.values())]
    folder = folder_of(KEY, pretrained, revision, files)
    if folder == Path(pretrained):
        check(folder, pretrained)
        return folder
    if halved := without_weights(files_in(folder)):
        fetch(KEY, pretrained, revision, [WEIGHTS[part] + VARIANTS["fp16"] for part in halved])
    check(folder, f"{pretrained} (in {folder})")
    return folder


def found(pretrained: str, revision: str) -> dict[str, Any]:
    """Return the card of a pretrained pipeline: its source, revision (the commit of a hub id), files and digest."""
    folder = locate(pretrained, revision)
    commit = None if folder == Path(pretrained) else folder.name
    return {"source": pretrained, "revision": commit, "codec_psnr_db": None, **describe(folder)}


def describe(folder: Path) -> dict[str, Any]:
    """Return the `describe_files` of a pipeline: of what a base model is loaded from."""
    return describe_files(folder, needed(files_in(folder)))


def load_base(folder: Path) -> BaseModel:
    """Return the base model that the pretrain stage put, or named, in `folder`.

    Raises ModelError if there is none, or if its files are not those that the stage saw.
    """
    card = read_json(folder / CARD)
    if card["source"] == "none":
        raise ModelError(
            f"{folder / CARD}: names no base model; set backend.name to controlnet or dit and run `dvc repro`"
        )
    weights = folder if card["source"] == "scratch" else locate(card["source"], card["revision"])
    check_unchanged(weights, card)
    return open_pipeline(weights, card["digest"])
