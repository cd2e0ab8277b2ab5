"""Rules as a Great Expectations suite: what was observed. Only this module and expectations.py know it."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd

from pipeline_tasks.quality.pair_table import PairTable
from pipeline_tasks.quality.rule import Rule

EXAMPLES = 5
VALUES_PER_BATCH = 2**18
"""Values held in memory at a time, or a rule's own columns where those are more."""


@dataclass(frozen=True)
class Outcome:
    """How one rule fared."""

    rule: Rule
    success: bool
    observed: str

    def __str__(self) -> str:
        return f"{self.rule.sentence}: wanted {self.rule.threshold}, found {self.observed}"


def check(rules: Sequence[Rule], pairs: PairTable) -> list[Outcome]:
    """Validate `pairs` against `rules` and return the outcomes in the rules' order.

    Rules that look at the same rows share a batch, as far as memory allows; one batch is in memory at a time.
    """
    most = VALUES_PER_BATCH // max(1, pairs.number)
    outcomes = {o.rule.key: o for batch in _batches(rules, most) for o in _check_batch(batch, pairs)}
    return [outcomes[rule.key] for rule in rules]


def _batches(rules: Sequence[Rule], most_columns: int) -> Iterator[list[Rule]]:
    """Yield the rules that look at the same rows together, those on the same columns side by side."""
    alike: dict[str, list[Rule]] = {}
    for rule in sorted(rules, key=lambda rule: rule.columns):
        alike.setdefault(repr((rule.table, rule.filters)), []).append(rule)
    for those in alike.values():
        batch: list[Rule] = []
        for rule in those:
            if batch and len(_columns([*batch, rule])) > most_columns and rule.columns != batch[-1].columns:
                yield batch
                batch = []
            batch.append(rule)
        yield batch


def _columns(rules: Sequence[Rule]) -> list[str]:
    return sorted({column for rule in rules for column in rule.columns})


def version() -> str:
    """Return the version of Great Expectations."""
    return str(_library().__version__)


def _check_batch(rules: Sequence[Rule], pairs: PairTable) -> list[Outcome]:
    table, filters = rules[0].table, rules[0].filters
    rows = pairs.columns() if table == "columns" else pairs.read(_columns(rules), filters).to_pandas()
    results = _validate(rules, rows)
    return [
        Outcome(rule, bool(result.success), _observed(result, _deviating(rule, result.result, pairs)))
        for rule, result in zip(rules, results, strict=True)
    ]


def _library() -> Any:
    """Import Great Expectations, mute: both settings are read at import."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    import great_expectations

    return great_expectations


@cache
def _context() -> Any:
    context = _library().get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    return context


def _validate(rules: Sequence[Rule], rows: pd.DataFrame) -> list[Any]:
    """Return the results of `rules` on `rows`, in order.

    Below the library's data sources, which would hash every value twice to tell batches apart. Deviating rows are told
    by position, because by name the library lists all of them.
    """
    context = _context()
    from great_expectations.execution_engine import PandasExecutionEngine
    from great_expectations.validator.validator import Validator

    engine = PandasExecutionEngine()
    engine.load_batch_data("pairs", rows)
    suite = _library().ExpectationSuite("pairs", [_expectation(rule) for rule in rules])
    form = {"result_format": "SUMMARY", "partial_unexpected_count": EXAMPLES, "return_unexpected_index_query": False}
    validator = Validator(engine, data_context=context)
    results = validator.graph_validate(suite.expectation_configurations, {"result_format": form})
    engine.load_batch_data(
        "pairs", rows[:0]
    )  # its objects refer to one another: `rows` would stay until they are found
    found = {result.expectation_config.meta["key"]: result for result in results}
    return [found[rule.key] for rule in rules]


def _expectation(rule: Rule) -> Any:
    import great_expectations.expectations as known

    from pipeline_tasks.quality import expectations as ours

    kind = getattr(ours, rule.expectation, None) or getattr(known, rule.expectation)
    return kind(**rule.arguments, severity=rule.severity, description=rule.sentence, meta={"key": rule.key})


def _observed(result: Any, deviating: Sequence[str]) -> str:
    if problem := _exception(result.exception_info):
        return f"could not be checked: {problem}"
    found: Mapping[str, Any] = result.result
    if "unexpected_count" not in found:
        return _text(found["observed_value"])
    looked_at, deviate = found["element_count"], found["unexpected_count"]
    if not looked_at:
        return "nothing to look at"
    if not deviate:
        return f"none of {looked_at} deviates"
    more = ", ..." if deviate > len(deviating) else ""
    return f"{deviate} of {looked_at} deviate ({100 * deviate / looked_at:.3g}%): {', '.join(deviating)}{more}"


def _deviating(rule: Rule, found: Mapping[str, Any], pairs: PairTable) -> list[str]:
    """Return names and values of the first deviating rows."""
    positions = found.get("partial_unexpected_index_list") or []
    if not positions:
        return []
    named = pairs.columns() if rule.table == "columns" else pairs.read(["pair_id"], rule.filters).take(positions)
    names = named["column"][positions] if rule.table == "columns" else named["pair_id"].to_pylist()
    values = [value[-1] if "max_bits" in rule.arguments else value for value in found["partial_unexpected_list"]]
    return [f"{name} ({_text(value)})" for name, value in zip(names, values, strict=True)]


def _exception(info: Mapping[str, Any]) -> str | None:
    """Return the first message of GX's exception info, which is flat or one entry per metric."""
    entries = [info] if "raised_exception" in info else list(info.values())
    return next((e["exception_message"] for e in entries if e["raised_exception"]), None)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(map(_text, value.values()))
    if isinstance(value, tuple):
        return " instead of ".join(map(_text, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value) if value not in (None, "") else "none"
