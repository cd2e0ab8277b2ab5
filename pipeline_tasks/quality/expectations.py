"""What Great Expectations does not ask by itself: near copies, diversity and balance. Importing it takes seconds."""

from typing import Any, ClassVar, Literal

import pandas as pd
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import ColumnAggregateExpectation, ColumnPairMapExpectation
from great_expectations.expectations.metrics.column_aggregate_metric_provider import (
    ColumnAggregateMetricProvider,
    column_aggregate_value,
)
from great_expectations.expectations.metrics.map_metric_provider import (
    ColumnPairMapMetricProvider,
    column_pair_condition_partial,
)

from pipeline_tasks.quality.fingerprints import near_copies_within, read_hashes, spread


class NoNearCopy(ColumnPairMapMetricProvider):
    """Of each perceptual hash, 16 hex digits, of column B: is every other one beside the same A further away?"""

    condition_metric_name = "column_pair_values.perceptual_hash.no_near_copy"
    condition_value_keys = ("max_bits",)

    @column_pair_condition_partial(engine=PandasExecutionEngine)
    def _pandas(self, column_A: "pd.Series[str]", column_B: "pd.Series[str]", **values: Any) -> "pd.Series[bool]":  # noqa: N803
        groups, _ = pd.factorize(column_A)
        return pd.Series(~near_copies_within(groups, read_hashes(column_B), values["max_bits"]), column_B.index)


class ExpectColumnPairValuesToHaveNoNearCopies(ColumnPairMapExpectation):
    """Expect perceptual hashes in column B that differ in more than `max_bits` bits from all beside the same A."""

    max_bits: int
    ignore_row_if: Literal["neither"] = "neither"
    map_metric = "column_pair_values.perceptual_hash.no_near_copy"
    success_keys = ("column_A", "column_B", "ignore_row_if", "max_bits", "mostly")


class HashSpread(ColumnAggregateMetricProvider):
    """Mean share of bits in which two perceptual hashes of a column differ, 0..0.5; none for fewer than two."""

    metric_name = "column.perceptual_hash.spread"

    @column_aggregate_value(engine=PandasExecutionEngine)
    def _pandas(self, column: "pd.Series[str]", **_: Any) -> float | None:
        return spread(read_hashes(column)) if len(column) > 1 else None


class ExpectColumnHashSpreadToBeBetween(ColumnAggregateExpectation):
    """Expect perceptual hashes that differ enough from one another in the mean: a floor under diversity."""

    min_value: float
    max_value: float | None = None
    metric_dependencies = ("column.perceptual_hash.spread",)
    success_keys = ("min_value", "max_value")

    def _validate(self, metrics: dict[str, Any], **_: Any) -> Any:
        return self._validate_metric_value_between("column.perceptual_hash.spread", metrics)


class Balance(ColumnAggregateMetricProvider):
    """Count of the rarest of `value_set` in a column / that of the most frequent one, 0..1; none if none occurs."""

    metric_name = "column.value_balance"
    value_keys = ("value_set",)

    @column_aggregate_value(engine=PandasExecutionEngine)
    def _pandas(self, column: "pd.Series[str]", value_set: list[str], **_: Any) -> float | None:
        counts = column.value_counts().reindex(value_set, fill_value=0)
        return float(counts.min() / counts.max()) if counts.max() else None


class ExpectColumnValueBalanceToBeBetween(ColumnAggregateExpectation):
    """Expect the values of `value_set` to be about as frequent as one another."""

    value_set: list[str]
    min_value: float
    max_value: float | None = None
    metric_dependencies = ("column.value_balance",)
    success_keys = ("value_set", "min_value", "max_value")
    args_keys: ClassVar[tuple[str, ...]] = ("column", "value_set", "min_value", "max_value")

    def _validate(self, metrics: dict[str, Any], **_: Any) -> Any:
        return self._validate_metric_value_between("column.value_balance", metrics)
