"""What choose, evaluate and retrain train detectors on, read from the outputs of the stages before them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline_tasks.params import Generate
    from pipeline_tasks.schema import Pair, Sample


def read_samples(folder: Path) -> "list[Sample]":
    """Return all samples below a folder."""
    from pipeline_tasks.schema import Sample
    from pipeline_tasks.storage import read_rows, sample_files

    return [sample for file in sample_files(folder) for sample in read_rows(file, Sample)]


def made_by_defect(pairs: Path) -> dict[str, tuple[str, list[int]]]:
    """Return of each defect that has pairs the product it is learned on, and the pairs' indices."""
    from pipeline_tasks.manifest import read_manifest
    from pipeline_tasks.schema import Pair

    folders = sorted({file.parent for file in pairs.glob("*/*.parquet")})
    made = {folder.name: read_manifest(sorted(folder.glob("*.parquet")), Pair) for folder in folders}
    return {d: (t["source"][0].as_py(), t["pair_index"].to_pylist()) for d, t in made.items() if len(t)}


def spread_over_defects(made: Mapping[str, Sequence[int]], most: int) -> dict[str, set[int]]:
    """Choose at most `most` pair indices: as many of each defect (at least one), evenly over those made."""
    share = max(1, most // max(1, len(made)))
    counts = {defect: min(share, len(indices)) for defect, indices in made.items()}
    return {
        defect: {sorted(indices)[i * len(indices) // counts[defect]] for i in range(counts[defect])}
        for defect, indices in made.items()
    }


def pairs_by_source(
    product: str, pairs: Path, masks: Path, base: "Sequence[Sample]", generator: str, most: int, params: "Generate"
) -> "dict[str, Callable[[], Iterator[Pair]]]":
    """Return what reads at most `most` pairs by the generator, spread over defects, and what pastes as many.

    Pasted ones have the same masks. Defects that are learned on another product are left out: this one has no real
    ones to compare them with.
    """
    own = {d: indices for d, (source, indices) in made_by_defect(pairs).items() if source == product}
    chosen = spread_over_defects(own, most)
    pasted = partial(_pasted, product, masks, chosen, base, params)
    return {"paste": pasted, generator: partial(_generated, pairs, chosen)}


def _generated(pairs: Path, chosen: Mapping[str, set[int]]) -> "Iterator[Pair]":
    from pipeline_tasks.manifest import read_selected
    from pipeline_tasks.schema import Pair

    for defect, indices in chosen.items():
        yield from read_selected(sorted((pairs / defect).glob("*.parquet")), Pair, "pair_index", indices)


def _pasted(
    product: str, masks: Path, chosen: Mapping[str, set[int]], base: "Sequence[Sample]", params: "Generate"
) -> "Iterator[Pair]":
    """Yield a pasted pair for the mask of each chosen pair, so that the two arms differ in the generator alone.

    They are kept in no table: their run is that of this code on the masks and base samples, with `params`.
    """
    from pipeline_tasks.backends.judgement import KEEP_ALL, known_defects
    from pipeline_tasks.backends.pairs import make_pairs
    from pipeline_tasks.backends.paste import PasteBackend
    from pipeline_tasks.commands.work import this_run
    from pipeline_tasks.manifest import read_selected
    from pipeline_tasks.prompts import PromptBook
    from pipeline_tasks.schema import MaskRow, Pair

    samples, every = {sample.source_path: sample for sample in base}, params.model_copy(update={"keep": KEEP_ALL})
    unprompted = PromptBook({product: dict.fromkeys(chosen, "")}, {})
    tables = {defect: masks / f"{defect}.parquet" for defect in chosen}
    made_by = this_run([*tables.values()], [every, *sorted(sample.sha256 for sample in base)])
    for defect, indices in chosen.items():
        rows = read_selected([tables[defect]], MaskRow, "pair_index", indices)
        known = known_defects(sample for sample in base if sample.defect == defect)
        made = make_pairs(PasteBackend(every), rows, samples, samples, unprompted, known, every, made_by)
        yield from (pair for pair in made if isinstance(pair, Pair))
