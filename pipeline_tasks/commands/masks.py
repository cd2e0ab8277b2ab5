"""`defectline masks`: base masks and normal images of a defect -> new masks, placed."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline_tasks.commands.names import Name
from pipeline_tasks.params import Params, load_params

if TYPE_CHECKING:
    from pipeline_tasks.masks.latent import Morph
    from pipeline_tasks.schema import MaskRow


def masks(
    product: Name,
    defect: Name,
    source: Name,
    samples: Annotated[Path, typer.Option()],
    normals: Annotated[Path, typer.Option()],
    pretrained: Annotated[Path, typer.Option()],
    prompts: Annotated[Path, typer.Option()],
    masks: Annotated[Path, typer.Option()],
) -> None:
    """Make new masks of a defect from the real ones and place them on normal images."""
    from pipeline_tasks.errors import ConfigError
    from pipeline_tasks.progress import track
    from pipeline_tasks.schema import MaskRow, Sample
    from pipeline_tasks.stages import masks as stage
    from pipeline_tasks.storage import open_table, read_rows, write_rows

    params = load_params()
    if source != product and params.backend.name != "dit":
        raise ConfigError(
            f"catalog.yaml: '{defect}' on '{product}' is learned on '{source}', which {params.backend.name} cannot: "
            "set backend.name to dit, or empty zero_shot and run `defectline catalog` again"
        )
    real = open_table(samples, Sample).metadata.num_rows
    tables = read_rows(samples, Sample), read_rows(normals, Sample)

    def load_morph() -> "Morph":
        return _load_morph(params, pretrained, prompts, source, defect)

    latent = load_morph if params.backend.is_latent else None
    pairs = stage.run(params.masks, params.run.seed, product, defect, source, *tables, latent)
    kinds, refused = Counter[str](), Counter[str]()

    def made() -> Iterator["MaskRow"]:
        for pair in track(pairs, "masks", total=params.masks.pairs_per_defect if real else 0):
            if isinstance(pair, stage.Refused):
                refused[pair.reason] += 1
            else:
                kinds[f"{pair.kind} ({pair.kind_reason})"] += 1
                yield pair

    count = write_rows(masks, made(), MaskRow)
    print(f"{product}/{defect}: {count} masks from {real} real ones, refused {refused.total()}{_counts(refused)}")
    if real:
        print(f"{product}/{defect}: of {count}{_counts(kinds)}")
    else:
        print(f"warning: {product}/{defect} has no base sample, so no pairs will be made of it")


def _counts(counter: Counter[str]) -> str:
    return "".join(f", {number} x {name}" for name, number in counter.most_common())


def _load_morph(params: Params, pretrained: Path, prompts: Path, source: str, defect: str) -> "Morph":
    """Load the latent model of masks and what it is asked for. Raises ModelError or DataError if one is missing."""
    import torch

    from pipeline_tasks.diffusion.device import pick_device, pick_dtype
    from pipeline_tasks.diffusion.mask_morph import LatentMorph
    from pipeline_tasks.diffusion.weights import load_base
    from pipeline_tasks.prompts import mask_prompt, read_prompts

    torch.set_num_threads(params.masks.threads)
    device = pick_device(params.masks.device)
    base = load_base(pretrained).to(device)
    prompt = base.embed([mask_prompt(read_prompts(prompts).of(source, defect, ""))])
    dtype = pick_dtype(params.masks.precision, device)
    return LatentMorph(base, params.backend.resolution_px, prompt, params.masks.latent_steps, dtype)
