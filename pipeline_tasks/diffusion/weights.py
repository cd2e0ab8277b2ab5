"""Pretrained weights: a pipeline in diffusers format, on disk or on the hub, found, described and loaded."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline_tasks.diffusion.base_model import BaseModel, open_pipeline
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


def describe_files(folder: Path, names: Iterable[str]) -> dict[str, Any]:
    """Return `files`, by relative name their 'sha256' (hex) and 'bytes', and `digest`, SHA-256 (hex) over them all."""
    files = {name: _described(folder / name) for name in names}
    return {"files": files, "digest": _digest(files)}


def _described(file: Path) -> dict[str, Any]:
    with file.open("rb") as stream:
        return {"sha256": hashlib.file_digest(stream, "sha256").hexdigest(), "bytes": file.stat().st_size}


def _digest(files: Mapping[str, Mapping[str, Any]]) -> str:
    lines = (f"{name}\0{files[name]['sha256']}\n" for name in sorted(files))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


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


def check_unchanged(folder: Path, card: Mapping[str, Any]) -> None:
    """Raise ModelError unless the files of a card are in `folder` as the pretrain stage recorded them."""
    for name, recorded in card["files"].items():
        if not _is_as_recorded(folder / name, recorded, exactly=folder == Path(card["source"])):
            raise ModelError(f"{folder / name}: missing or changed since the pretrain stage; run that stage again")


def _is_as_recorded(file: Path, recorded: Mapping[str, Any], *, exactly: bool) -> bool:
    """Tell whether a file has the recorded size and, `exactly`, content: nothing but this watches a local folder."""
    if not file.is_file() or file.stat().st_size != recorded["bytes"]:
        return False
    return not exactly or _described(file)["sha256"] == recorded["sha256"]
