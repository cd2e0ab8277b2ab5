"""What a defect's pairs are made of and by: the same for `defectline generate` and for each of its parts."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pipeline_tasks.backends.protocol import Backend
    from pipeline_tasks.params import Generate, Params
    from pipeline_tasks.provenance import MadeBy
    from pipeline_tasks.schema import MaskRow, Pair, Rejected, Sample
    from pipeline_tasks.stages.generate import Sources


class Inputs(NamedTuple):
    """Where the outputs of other stages are that decide a defect's pairs."""

    masks: Path
    samples: Path
    normals: Path
    prompts: Path
    pretrained: Path
    model: Path


@dataclass(frozen=True)
class Maker:
    """Makes the pairs of one defect."""

    params: "Generate"
    backend: "Backend"
    sources: "Sources"
    made_by: "MadeBy"

    def make(self, shard: "Sequence[MaskRow]", wanted: int) -> "Iterator[Pair | Rejected]":
        """Yield the pairs of a shard and what was rejected, until there are as many pairs as are `wanted`."""
        from pipeline_tasks.stages.generate import run

        return run(self.params, self.backend, self.sources, self.made_by, shard, wanted)

    def make_again(self, blocks: "Sequence[MaskRow]", indices: Collection[int]) -> "Iterator[Pair]":
        """Yield the pairs of these indices as `make` does, of all rows of their blocks."""
        from pipeline_tasks.stages.generate import run_again

        return run_again(self.params, self.backend, self.sources, self.made_by, blocks, indices)


def load_maker(params: "Params", inputs: Inputs, made_by: "MadeBy", product: str, defect: str, source: str) -> Maker:
    """Return what makes the pairs of a defect of `product` as it is seen on `source`.

    Raises ModelError if there is no such model, LeakageError for a sample that is not of the base split.
    """
    import torch

    from pipeline_tasks.backends import load_backend
    from pipeline_tasks.prompts import read_prompts
    from pipeline_tasks.schema import Sample
    from pipeline_tasks.stages.generate import Sources, known_defects
    from pipeline_tasks.storage import read_rows

    torch.set_num_threads(params.generate.threads)
    backend = load_backend(params, inputs.model, inputs.pretrained)
    book = read_prompts(inputs.prompts).borrow(product, defect, source)
    known = known_defects(read_rows(inputs.samples, Sample))
    sources = Sources(partial(_by_path, inputs.samples), partial(_by_path, inputs.normals), book, known)
    return Maker(params.generate, backend, sources, made_by)


def _by_path(table: Path, paths: set[str]) -> "Mapping[str, Sample]":
    from pipeline_tasks.manifest import read_selected
    from pipeline_tasks.schema import Sample

    return {sample.source_path: sample for sample in read_selected([table], Sample, "source_path", paths)}
