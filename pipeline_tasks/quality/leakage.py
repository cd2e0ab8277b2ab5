"""Test samples are for the final report only: no trace of one may be learned from (METHODS section 0)."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from pipeline_tasks.errors import LeakageError
from pipeline_tasks.schema import Pair
from pipeline_tasks.splits.guard import Placed, of_base, of_test


@dataclass(frozen=True)
class HeldOut:
    """The identities of the test samples, by path and by content."""

    paths: frozenset[str]
    digests: frozenset[str]

    @classmethod
    def of(cls, test: Iterable[Placed]) -> "HeldOut":
        """Return the identities of `test`."""
        rows = [(sample.source_path, sample.sha256) for sample in test]
        return cls(frozenset(path for path, _ in rows), frozenset(digest for _, digest in rows))

    def refuse_sample(self, sample: Placed) -> None:
        """Raise LeakageError if a base sample is, or was derived from, a test sample."""
        self._refuse(f"base sample '{sample.source_path}'", [sample.source_path, sample.derived_from], sample.sha256)

    def refuse_pair(self, pair: Pair) -> None:
        """Raise LeakageError if a pair's normal image or a parent of its mask is a test sample.

        Parents that are another product's are no samples of this one, whatever their paths.
        """
        parents = [pair.parent_a, pair.parent_b] if pair.source == pair.product else []
        self._refuse(f"pair {pair.pair_id}", [pair.normal_path, *parents], pair.normal_sha256)

    def of_pairs(self, read: Callable[[], Iterable[Pair]]) -> Iterator[Pair]:
        """Yield the pairs that `read` gives. Raises as `refuse_pair`."""
        for pair in read():
            self.refuse_pair(pair)
            yield pair

    def _refuse(self, what: str, sources: Iterable[str | None], digest: str) -> None:
        remedy = "nothing may be learned from it; re-run the stages from ingest on"
        for source in sources:
            if source in self.paths:
                raise LeakageError(f"{what} comes from '{source}', which is in the test split: {remedy}")
        if digest in self.digests:
            raise LeakageError(f"{what} holds the same image as a sample of the test split (sha256 {digest}): {remedy}")


def hold_out(base: Iterable[Placed], test: Iterable[Placed], step: str) -> HeldOut:
    """Return the identities of a product's `test` samples, after checking that none of them is among its `base`.

    Raises LeakageError naming the first sample that is not of its split, that is or comes from one of the other split,
    or that was made and yet is to be measured on.
    """
    held_out = HeldOut.of(of_test(test, step))
    for sample in of_base(base, step):
        held_out.refuse_sample(sample)
    return held_out
