"""A rule of the quality gate: one expectation, the sentence that it stands for, and the rows that it looks at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline_tasks.schema import ATTENTION

Filter = tuple[str, str, Any]
"""Column, operator and value, as pyarrow.parquet.read_table takes them; several hold together."""
WHOLE: tuple[Filter, ...] = (("mask_kind", "=", ATTENTION),)
"""Pairs that were generated whole, normal image and mask included ..."""
ON_REAL: tuple[Filter, ...] = (("mask_kind", "!=", ATTENTION),)
"""... and all others."""
FROM_REAL_MASKS: tuple[Filter, ...] = (("mask_kind", "not in", [ATTENTION, "perlin"]),)
"""Perlin noise is drawn anywhere on the object, as large as params say, and attention is the generator's own choice:
only masks that are made from real ones can be expected where, and as large as, those are."""


@dataclass(frozen=True)
class Rule:
    """One expectation on the pairs of a product."""

    name: str
    topic: str
    """The heading that people find it under."""
    sentence: str
    expectation: str
    """A class of Great Expectations or of quality/expectations.py."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    threshold: str = ""
    severity: Literal["critical", "warning"] = "critical"
    defect: str | None = None
    """Only the pairs of this defect are looked at; None = all."""
    where: tuple[Filter, ...] = ()
    """Only the pairs that pass these are looked at."""
    table: Literal["pairs", "columns"] = "pairs"
    """What a row is: a pair, or a column of the pairs' table."""

    @property
    def column(self) -> str | None:
        """The column in question, None for rules on several or on none."""
        return self.arguments.get("column")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that must be read; a rule that counts rows reads a narrow one."""
        several = [self.arguments[key] for key in ("column", "column_A", "column_B") if key in self.arguments]
        return tuple(several or self.arguments.get("column_list", ["pair_index"]))

    @property
    def filters(self) -> tuple[Filter, ...]:
        """What a row must pass to be looked at."""
        return (*([("defect", "=", self.defect)] if self.defect else []), *self.where)

    @property
    def key(self) -> str:
        """Name, column and defect: unique among the rules of a product."""
        return "/".join([self.name, self.column or "*", self.defect or "*"])


def between(
    name: str,
    topic: str,
    sentence: str,
    column: str,
    low: float | None,
    high: float | None,
    *,
    mostly: float = 1.0,
    **more: Any,
) -> Rule:
    """Return the rule that values, or a share `mostly` of them, lie in low..high, None = open."""
    arguments = {"column": column, "min_value": low, "max_value": high, "mostly": mostly}
    more.setdefault("threshold", bounds(low, high))
    return Rule(name, topic, sentence, "ExpectColumnValuesToBeBetween", arguments, **more)


def bounds(low: float | None, high: float | None) -> str:
    """Return low..high in words, None = open."""
    if low is None or high is None:
        return f"at most {high:g}" if low is None else f"at least {low:g}"
    return f"{low:g} to {high:g}" if low < high else f"{low:g}"


def in_set(name: str, topic: str, sentence: str, column: str, allowed: Sequence[str], **more: Any) -> Rule:
    """Return the rule that values are among `allowed`."""
    more.setdefault("threshold", f"one of {len(allowed)} base samples")
    arguments = {"column": column, "value_set": list(allowed)}
    return Rule(name, topic, sentence, "ExpectColumnValuesToBeInSet", arguments, **more)


def not_in_set(name: str, topic: str, sentence: str, column: str, banned: Sequence[str], **more: Any) -> Rule:
    """Return the rule that values are not among `banned`."""
    more.setdefault("threshold", f"none of {len(banned)} test samples")
    arguments = {"column": column, "value_set": list(banned)}
    return Rule(name, topic, sentence, "ExpectColumnValuesToNotBeInSet", arguments, **more)


def rows_at_least(name: str, topic: str, sentence: str, least: int, **more: Any) -> Rule:
    """Return the rule that there are so many rows."""
    return Rule(name, topic, sentence, "ExpectTableRowCountToBeBetween", {"min_value": least}, **more)
