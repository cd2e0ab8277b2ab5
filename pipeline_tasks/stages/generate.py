"""Generate: masks on normal images become image/mask pairs, shard by shard (METHODS section 4)."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from pipeline_tasks.backends.pairs import make_pairs
from pipeline_tasks.backends.protocol import Backend
from pipeline_tasks.params import Generate
from pipeline_tasks.prompts import PromptBook
from pipeline_tasks.schema import MaskRow, Pair, Rejected, Sample

Samples = Callable[[set[str]], Mapping[str, Sample]]
"""Fetches base samples by source_path."""


def run(
    params: Generate,
    backend: Backend,
    shard: Sequence[MaskRow],
    samples: Samples,
    normals: Samples,
    prompts: PromptBook,
) -> Iterator[Pair | Rejected]:
    """Yield the pairs of one shard, and what was rejected. Only the samples that its rows name are held in memory.

    Raises DataError or LeakageError if a row names a sample outside the base split.
    """
    parents = samples({path for row in shard for path in (row.parent_a, row.parent_b)})
    hosts = normals({row.normal_path for row in shard})
    yield from make_pairs(backend, shard, parents, hosts, prompts, params)
