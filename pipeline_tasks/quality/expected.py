"""What a product's pairs are measured against."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from pipeline_tasks.params import Keep


@dataclass(frozen=True)
class Expected:
    """A product's defects, its real samples, and what was asked for.

    `base` and `test` are Sample manifests without pixels. `asked`: pairs per defect. `keep`: what generate promises of
    every pair. `placement_spread`: how far masks may be from where real ones were. `zero_shot`: defects that are
    learned on other products.
    """

    product: str
    defects: list[str]
    base: pd.DataFrame
    test: pd.DataFrame
    asked: int
    keep: Keep
    placement_spread: float
    zero_shot: Sequence[str] = ()

    @property
    def wanted(self) -> list[str]:
        """The defects that there should be pairs of: the product's own, then those learned on other products."""
        return [*self.defects, *self.zero_shot]

    def paths(self, defect: str) -> list[str]:
        """Return the source paths of a defect's base samples, sorted."""
        return sorted(self.base.loc[self.base.defect == defect, "source_path"])

    def seen(self, defect: str, column: str) -> tuple[float, float]:
        """Return the least and the largest value of `column` in a defect's base samples, of which there are some."""
        values = self.base.loc[self.base.defect == defect, column]
        return float(values.min()), float(values.max())
