"""Generate: masks on normal images become image/mask pairs, shard by shard (METHODS section 4)."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline_tasks.backends import judgement
from pipeline_tasks.backends.pairs import make_pairs, requests_of
from pipeline_tasks.backends.protocol import Backend, Graded
from pipeline_tasks.errors import DataError
from pipeline_tasks.images.similarity import KnownDefects
from pipeline_tasks.params import Generate
from pipeline_tasks.prompts import PromptBook
from pipeline_tasks.provenance import MadeBy
from pipeline_tasks.schema import MaskRow, Pair, Rejected, Sample, StrengthTrial
from pipeline_tasks.splits.guard import of_base

Samples = Callable[[set[str]], Mapping[str, Sample]]
"""Fetches base samples by source_path."""


@dataclass(frozen=True)
class Sources:
    """What the pairs of one defect are made of beside their masks; samples: real defects, normals: normal images.

    Only the samples that the mask rows in hand name are held in memory.
    """

    samples: Samples
    normals: Samples
    prompts: PromptBook
    known: KnownDefects

    def named_by(self, rows: Sequence[MaskRow]) -> tuple[Mapping[str, Sample], Mapping[str, Sample], PromptBook]:
        """Return the real defects and the normal images that the rows name, and the prompts."""
        parents = self.samples({path for row in rows for path in (row.parent_a, row.parent_b)})
        return parents, self.normals({row.normal_path for row in rows}), self.prompts


def known_defects(samples: Iterable[Sample]) -> KnownDefects:
    """Return the base defects that no pair may copy, of all `samples`. Raises LeakageError for one of another split."""
    return judgement.known_defects(of_base(samples, "generate"))


def whole_shards(asked: int, shard_pairs: int) -> range:
    """Return the numbers of the shards that hold a pair, or its rejection, of each of their mask rows in any case.

    They are those that lie wholly in the first `asked` rows: what is rejected before can only make more of the later
    rows needed.
    """
    return range(asked // shard_pairs)


def share_of(shards: range, part: int, parts: int) -> range:
    """Return those of `shards`, consecutive ones, that are made in the `part`th of `parts`, from 0.

    None, if there are more parts than shards. Each shard is in one part, and no part has two more than another.
    """
    return shards[len(shards) * part // parts : len(shards) * (part + 1) // parts]


def run(
    params: Generate, backend: Backend, sources: Sources, made_by: MadeBy, shard: Sequence[MaskRow], wanted: int
) -> Iterator[Pair | Rejected]:
    """Yield the pairs of one shard, in order, and what was rejected, until there are as many pairs as are `wanted`.

    Blocks are rendered whole, so that a pair never depends on how many are wanted. Raises DataError or LeakageError if
    a row names a sample outside the base split.
    """
    for made in make_pairs(backend, shard, *sources.named_by(shard), sources.known, params, made_by):
        yield made
        wanted -= isinstance(made, Pair)
        if wanted == 0:
            return


def run_again(
    params: Generate,
    backend: Backend,
    sources: Sources,
    made_by: MadeBy,
    blocks: Sequence[MaskRow],
    indices: Collection[int],
) -> Iterator[Pair]:
    """Yield the pairs of these pair indices as `run` makes them, in order; `blocks`: all rows of their blocks.

    Raises as `run`, and DataError for an index whose pair is rejected.
    """
    for made in make_pairs(backend, blocks, *sources.named_by(blocks), sources.known, params, made_by):
        if made.pair_index not in indices:
            continue
        if isinstance(made, Rejected):
            raise DataError(
                f"pair {made.product}/{made.defect}/{made.pair_index} was rejected ({made.reason}): the stage has not "
                "kept it either; ask for pairs that are in its tables"
            )
        yield made


def try_strengths(backend: Graded, sources: Sources, rows: Sequence[MaskRow]) -> list[StrengthTrial]:
    """Return each mask row made at rising strengths of its defect. Raises as `run`."""
    return backend.trials(list(requests_of(rows, *sources.named_by(rows))))
