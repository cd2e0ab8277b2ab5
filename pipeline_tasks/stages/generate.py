"""Generate: masks on normal images become image/mask pairs, shard by shard (METHODS section 4)."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from pipeline_tasks.backends import judgement
from pipeline_tasks.backends.pairs import make_pairs, requests_of
from pipeline_tasks.backends.protocol import Backend, Graded
from pipeline_tasks.images.similarity import KnownDefects
from pipeline_tasks.params import Generate
from pipeline_tasks.prompts import PromptBook
from pipeline_tasks.schema import MaskRow, Pair, Rejected, Sample, StrengthTrial
from pipeline_tasks.splits.guard import of_base

Samples = Callable[[set[str]], Mapping[str, Sample]]
"""Fetches base samples by source_path."""


def known_defects(samples: Iterable[Sample]) -> KnownDefects:
    """Return the base defects that no pair may copy, of all `samples`. Raises LeakageError for one of another split."""
    return judgement.known_defects(of_base(samples, "generate"))


def run(
    params: Generate,
    backend: Backend,
    shard: Sequence[MaskRow],
    samples: Samples,
    normals: Samples,
    prompts: PromptBook,
    known: KnownDefects,
    wanted: int,
) -> Iterator[Pair | Rejected]:
    """Yield the pairs of one shard, in order, and what was rejected, until there are as many pairs as are `wanted`.

    Blocks are rendered whole, so that a pair never depends on how many are wanted. Only the samples that the shard's
    rows name are held in memory. Raises DataError or LeakageError if a row names a sample outside the base split.
    """
    for made in make_pairs(backend, shard, *_sources(shard, samples, normals), prompts, known, params):
        yield made
        wanted -= isinstance(made, Pair)
        if wanted == 0:
            return


def try_strengths(
    backend: Graded, rows: Sequence[MaskRow], samples: Samples, normals: Samples, prompts: PromptBook
) -> list[StrengthTrial]:
    """Return each mask row made at rising strengths of its defect. Raises as `run`."""
    return backend.trials(list(requests_of(rows, *_sources(rows, samples, normals), prompts)))


def _sources(
    rows: Sequence[MaskRow], samples: Samples, normals: Samples
) -> tuple[Mapping[str, Sample], Mapping[str, Sample]]:
    parents = samples({path for row in rows for path in (row.parent_a, row.parent_b)})
    return parents, normals({row.normal_path for row in rows})
