"""`defectline evaluate`: real samples, masks and pairs -> scores of detectors trained with and without the pairs."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline_tasks.commands.names import Name

if TYPE_CHECKING:
    from pipeline_tasks.params import Generate
    from pipeline_tasks.schema import Pair, Sample


def evaluate(
    product: Name,
    base: Annotated[Path, typer.Option()],
    test: Annotated[Path, typer.Option()],
    masks: Annotated[Path, typer.Option()],
    pairs: Annotated[Path, typer.Option()],
    validation: Annotated[Path, typer.Option()],
    result: Annotated[Path, typer.Option()],
) -> None:
    """Train detectors on real data alone, with pasted and with generated pairs; compare them on the real test split."""
    import torch

    from pipeline_tasks.errors import ValidationFailed
    from pipeline_tasks.params import load_params
    from pipeline_tasks.progress import track
    from pipeline_tasks.stages import evaluate as stage
    from pipeline_tasks.storage import read_json, write_json

    if read_json(validation)["verdict"] != "passed":
        raise ValidationFailed(f"{validation}: the pairs of '{product}' did not pass the quality gate; see there why")
    params = load_params()
    torch.set_num_threads(params.evaluate.threads)
    made = _made(pairs)
    own = {defect: indices for defect, (source, indices) in made.items() if source == product}
    chosen = stage.spread_over_defects(own, params.evaluate.pairs_per_arm)
    real, held_out = _samples(base), _samples(test)
    generator: str = params.backend.name
    synthetic = {"paste": _pasted(product, masks, chosen, real, params.generate), generator: _generated(pairs, chosen)}
    total = stage.count_steps(params.evaluate, 1 + len(synthetic), held_out)
    with track(range(total), f"evaluate {product}") as bar:
        found = stage.run(
            params.evaluate,
            params.run.seed,
            product,
            real,
            held_out,
            synthetic,
            generator,
            advance=bar.update,
            left_out=[defect for defect in made if defect not in own],
        )
    write_json(result, found)
    print(f"{product}: {found['verdict']['outcome']}. {found['verdict']['sentence']}")


def _samples(folder: Path) -> "list[Sample]":
    from pipeline_tasks.schema import Sample
    from pipeline_tasks.storage import read_rows, sample_files

    return [sample for file in sample_files(folder) for sample in read_rows(file, Sample)]


def _made(pairs: Path) -> dict[str, tuple[str, list[int]]]:
    """Return of each defect that has pairs the product it is learned on, and the pairs' indices."""
    from pipeline_tasks.manifest import read_manifest
    from pipeline_tasks.schema import Pair

    folders = sorted({file.parent for file in pairs.glob("*/*.parquet")})
    made = {folder.name: read_manifest(sorted(folder.glob("*.parquet")), Pair) for folder in folders}
    return {d: (t["source"][0].as_py(), t["pair_index"].to_pylist()) for d, t in made.items() if len(t)}


def _generated(pairs: Path, chosen: dict[str, set[int]]) -> "Iterator[Pair]":
    from pipeline_tasks.manifest import read_selected
    from pipeline_tasks.schema import Pair

    for defect, indices in chosen.items():
        yield from read_selected(sorted((pairs / defect).glob("*.parquet")), Pair, "pair_index", indices)


def _pasted(
    product: str, masks: Path, chosen: dict[str, set[int]], base: "list[Sample]", params: "Generate"
) -> "Iterator[Pair]":
    """Yield a pasted pair for the mask of each chosen pair, so that the two arms differ in the generator alone."""
    from pipeline_tasks.backends.judgement import KEEP_ALL, known_defects
    from pipeline_tasks.backends.pairs import make_pairs
    from pipeline_tasks.backends.paste import PasteBackend
    from pipeline_tasks.manifest import read_selected
    from pipeline_tasks.prompts import PromptBook
    from pipeline_tasks.schema import MaskRow, Pair

    samples, every = {sample.source_path: sample for sample in base}, params.model_copy(update={"keep": KEEP_ALL})
    unprompted = PromptBook({product: dict.fromkeys(chosen, "")}, {})
    for defect, indices in chosen.items():
        rows = read_selected([masks / f"{defect}.parquet"], MaskRow, "pair_index", indices)
        known = known_defects(sample for sample in base if sample.defect == defect)
        made = make_pairs(PasteBackend(every), rows, samples, samples, unprompted, known, every)
        yield from (pair for pair in made if isinstance(pair, Pair))
