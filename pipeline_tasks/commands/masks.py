"""`defectline masks`: base masks and normal images of a defect -> new masks, placed."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
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
    refused: Annotated[Path, typer.Option()],
) -> None:
    """Make new masks of a defect from the real ones and place them on normal images."""
    from pipeline_tasks.errors import ConfigError
    from pipeline_tasks.progress import track
    from pipeline_tasks.schema import MaskRow, Sample
    from pipeline_tasks.stages import masks as stage
    from pipeline_tasks.storage import open_table, read_rows, write_json, write_rows

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
    account = _Account(params.masks.pairs_per_defect, stage.reserve(params.masks))

    def made() -> Iterator["MaskRow"]:
        for pair in track(pairs, "masks", total=account.asked + account.reserve if real else 0):
            if isinstance(pair, stage.Refused):
                account.refused[pair.reason.value] += 1
            else:
                account.kinds[f"{pair.kind} ({pair.kind_reason})"] += 1
                yield pair

    write_rows(masks, made(), MaskRow)
    write_json(refused, account.as_json())
    account.tell(f"{product}/{defect}", real)


@dataclass(frozen=True)
class _Account:
    """How many masks were asked for, made and refused."""

    asked: int
    reserve: int
    kinds: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, int | dict[str, int]]:
        """Return what refused.json holds."""
        made = self.kinds.total()
        return {"asked": self.asked, "reserve": self.reserve, "made": made, "refused": dict(self.refused)}

    def tell(self, what: str, real: int) -> None:
        """Print how many masks there are, of which kinds, and why others were refused."""
        made = self.kinds.total()
        wanted = f"{self.asked} asked for, {self.reserve} in reserve"
        print(f"{what}: {made} masks ({wanted}) from {real} real ones, refused {_counts(self.refused)}")
        if not real:
            print(f"warning: {what} has no base sample, so no pairs will be made of it")
            return
        print(f"{what}: of {_counts(self.kinds)}")
        if made < self.asked:
            print(f"warning: {what}: {self.asked - made} masks fewer than asked for, so many were refused")


def _counts(counter: Counter[str]) -> str:
    return ", ".join([f"{counter.total()}", *(f"{number} x {name}" for name, number in counter.most_common())])


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
