"""What is exported: the pairs and the normal images of a version's products, read a few rows at a time."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pipeline_tasks.progress import track
from pipeline_tasks.schema import PIXEL_COLUMNS, Pair, Sample, arrow_schema
from pipeline_tasks.storage import open_table, read_rows

PROVENANCE = tuple(name for name in arrow_schema(Pair).names if name not in PIXEL_COLUMNS)
"""The columns of a pair that say what it is and how it was made."""


class Located(NamedTuple):
    """A pair with the names that its paths are made of, which the catalog has checked."""

    product: str
    defect: str
    pair: Pair

    @property
    def number(self) -> str:
        """The pair's index as a file name without suffix: the same in every version that has the pair."""
        return f"{self.pair.pair_index:06d}"


@dataclass(frozen=True)
class ProductContent:
    """Tables of one product: shards of pairs by defect, normal images to learn from, and those held out.

    Where a product has no real normal images, `normals` are counterparts made of its defect images. licence: see
    catalog.Product.
    """

    defects: Mapping[str, Sequence[Path]]
    normals: Sequence[Path]
    test_normals: Sequence[Path]
    licence: str


@dataclass(frozen=True)
class Content:
    """What a version holds of some of its products. `version` is its name."""

    version: str
    products: Mapping[str, ProductContent]

    def pairs(self, what: str) -> Iterator[Located]:
        """Yield all pairs, product by product and defect by defect; progress is shown as `what`."""
        total = sum(self.count(product, defect) for product, defect in self.class_names)
        yield from track(self._pairs(), what, total)

    def _pairs(self) -> Iterator[Located]:
        for product, defect in self.class_names:
            for shard in self._shards(product, defect):
                yield from (Located(product, defect, pair) for pair in read_rows(shard, Pair))

    def count(self, product: str, defect: str) -> int:
        """Return how many pairs a defect has."""
        return sum(open_table(shard, Pair).metadata.num_rows for shard in self._shards(product, defect))

    @property
    def size_bytes(self) -> int:
        """The size of the tables of pairs."""
        return sum(shard.stat().st_size for place in self.class_names for shard in self._shards(*place))

    def _shards(self, product: str, defect: str) -> Sequence[Path]:
        return self.products[product].defects[defect]

    @property
    def class_names(self) -> dict[tuple[str, str], str]:
        """The name of each product's defect where all are classes of one list, in the order of the pairs.

        It is the defect's; where several products have a defect of that name, 'product/defect'.
        """
        places = [(product, defect) for product, content in self.products.items() for defect in content.defects]
        shared = Counter(defect for _, defect in places)
        return {(p, d): f"{p}/{d}" if shared[d] > 1 else d for p, d in places}


def samples(tables: Sequence[Path]) -> Iterator[Sample]:
    """Yield the rows of tables of samples."""
    for table in tables:
        yield from read_rows(table, Sample)


def provenance(pair: Pair) -> dict[str, Any]:
    """Return all columns of a pair but its pixels."""
    return {name: getattr(pair, name) for name in PROVENANCE}
