"""`defectline generate` on a handful of masks, with generators that are trained in an instant."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rows import PROMPTS, mask_row, sample
from settings import write_settings

from pipeline_tasks.backends.judgement import Scores
from pipeline_tasks.commands.generate import generate
from pipeline_tasks.commands.part import part
from pipeline_tasks.commands.train import train
from pipeline_tasks.schema import GOOD, MaskRow, Pair, Sample
from pipeline_tasks.storage import content_digest, read_rows, write_json, write_rows

SMALL: dict[str, dict[str, Any]] = {
    "train": {"steps": 9, "batch_size": 2, "checkpoint_every_steps": 2}
    | {"inpainting": {"window_px": 32, "channels": [8, 16]}},
    "masks": {"pairs_per_defect": 8},
    "generate": {"block_pairs": 2, "shard_pairs": 4, "batch_size": 4, "attempts": 2, "inpainting": {"steps": 2}},
}
MASKS = 14
SOUND = Scores(80, 0.9, 0.6, 0.05, 12.5, "base/pit/000.png", 0.5)
INPUTS = ("masks.parquet", "base/pit.parquet", f"base/{GOOD}.parquet", "plate.json", "pretrained", "model")
"""What generate takes, in the order of its parameters; below the folder of the project."""


def write_inputs(project: Path, **sections: dict[str, Any]) -> None:
    """Write base samples, MASKS masks, prompts and params.yaml: `sections` over SMALL."""
    write_settings(project, **SMALL | sections)
    plain = np.random.default_rng(0).integers(100, 120, (48, 48, 3)).astype(np.uint8)
    mask = np.zeros((48, 48), bool)
    mask[20:24, 10:30] = True
    marked = np.where(mask[..., None], np.uint8(30), plain)
    write_rows(project / "base/pit.parquet", [sample(pixels=marked, mask=mask)], Sample)
    write_rows(project / f"base/{GOOD}.parquet", [sample(GOOD, pixels=plain)], Sample)
    write_rows(project / "masks.parquet", [mask_row(index, mask) for index in range(MASKS)], MaskRow)
    write_json(project / "plate.json", {"defects": PROMPTS.defects["plate"], "samples": {}})
    write_json(project / "pretrained/pretrained.json", {"source": "none"})


def run_train(project: Path, to: str) -> str:
    """Train the generator into the folder `to` and return its digest."""
    train("plate", project / "base", project / "plate.json", project / "pretrained", project / to)
    return content_digest(project / to)


def run_generate(project: Path, to: str, only: list[int] | None = None, parts: Path | None = None) -> str:
    """Generate into the folder `to` and return its digest."""
    generate("plate", "pit", "plate", *(project / name for name in INPUTS), project / to, parts, only)
    return content_digest(project / to)


def run_part(project: Path, number: int, of: int, parts: Path) -> None:
    """Generate a part into its folder below `parts`."""
    part("plate", "pit", "plate", *(project / name for name in INPUTS), number, of, parts / str(number))


def pairs_in(folder: Path) -> list[Pair]:
    """Return the pairs in the tables of a folder, in their order."""
    return [pair for shard in sorted(folder.glob("*.parquet")) for pair in read_rows(shard, Pair)]


def pictures_in(folder: Path) -> list[Pair]:
    """Return the pairs in a folder without what tells their run."""
    return [replace(pair, run_id="", row_sha256="") for pair in pairs_in(folder)]
