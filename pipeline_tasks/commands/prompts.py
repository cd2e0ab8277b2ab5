"""`defectline prompts`: the text prompts of a product's defects and, with CLIP, of its samples."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline_tasks.commands.names import Name

if TYPE_CHECKING:
    from pipeline_tasks.params import Prompts


def prompts(
    product: Name,
    base: Annotated[Path, typer.Option()],
    prompts: Annotated[Path, typer.Option()],
) -> None:
    """Write the text prompt of each defect of a product and, if they are semantic, of each sample."""
    from pipeline_tasks.params import load_params
    from pipeline_tasks.schema import GOOD
    from pipeline_tasks.stages import prompts as stage
    from pipeline_tasks.storage import sample_files, write_json

    params = load_params().prompts
    files = [file for file in sample_files(base) if file.stem != GOOD]
    defects, names = [GOOD, *(file.stem for file in files)], None
    if params.kind == "disentangled":
        texts, names = stage.disentangle(params, product, defects)
    else:
        texts = stage.run(params, product, defects)
    samples, reason = _describe(params, product, files) if params.kind == "semantic" else ({}, None)
    kind = "template" if reason else params.kind
    clip = params.clip if kind == "semantic" else None
    found = {"kind": kind, "asked": params.kind, "reason": reason, "clip": clip}
    write_json(prompts, {**found, "defects": texts, "samples": samples, "names": names and asdict(names)})
    print(f"{product}: {len(defects)} prompts of defects, {len(samples)} of samples, {kind}")
    if reason:
        print(f"warning: {product}: no semantic prompts, the template's are used: {reason}")
        print(f"once CLIP's weights are there: dvc repro --force --single-item prompts@{product}, then refresh")


def _describe(params: "Prompts", product: str, files: list[Path]) -> tuple[dict[str, str], str | None]:
    """Return {source_path: prompt}, or the reason why CLIP is not there. Raises ModelError if it is damaged."""
    import torch

    from pipeline_tasks.diffusion.clip_phrases import find_clip, open_clip, read_phrases
    from pipeline_tasks.errors import ModelError
    from pipeline_tasks.schema import Sample
    from pipeline_tasks.stages import prompts as stage
    from pipeline_tasks.storage import read_rows

    try:
        folder = find_clip(params.clip)
    except ModelError as error:
        return {}, str(error)
    torch.set_num_threads(1)
    samples = (sample for file in files for sample in read_rows(file, Sample))
    return stage.describe(params, product, samples, open_clip(folder).look, read_phrases()), None
