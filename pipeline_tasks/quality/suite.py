"""Rules as a Great Expectations suite: what was observed, and the Data Docs. Only this module knows it."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline_tasks.quality.rules import Rule
from pipeline_tasks.schema import ATTENTION

ROW_NAME = "pair_id"
EXAMPLES = 5


@dataclass(frozen=True)
class Outcome:
    """How one rule fared."""

    rule: Rule
    success: bool
    observed: str

    def __str__(self) -> str:
        return f"{self.rule.sentence}: wanted {self.rule.threshold}, found {self.observed}"


def check(title: str, rules: Sequence[Rule], rows: pd.DataFrame) -> tuple[list[Outcome], str]:
    """Validate `rows` against `rules`; return the outcomes in the rules' order and the Data Docs page as HTML.

    The page needs no other file and no network, and depends on nothing but the arguments.
    """
    # Both settings are read at import.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("pairs").add_dataframe_asset(title)
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": rows})
    result = batch.validate(
        gx.ExpectationSuite(title, [_expectation(rule) for rule in rules]),
        result_format={
            "result_format": "SUMMARY",
            "unexpected_index_column_names": [ROW_NAME] if ROW_NAME in rows else [],
            "partial_unexpected_count": EXAMPLES,
        },
    )
    found = {r.expectation_config.meta["key"]: r for r in result.results}
    outcomes = [Outcome(rule, bool(found[rule.key].success), _observed(found[rule.key])) for rule in rules]
    return outcomes, _page(title, result, outcomes)


def _expectation(rule: Rule) -> Any:
    import great_expectations.expectations as gxe

    return getattr(gxe, rule.expectation)(
        **rule.arguments,
        **_condition(rule),
        severity=rule.severity,
        description=f"{rule.sentence}: {rule.threshold}{' (warning)' if rule.severity == 'warning' else ''}",
        meta={"key": rule.key},
    )


def _condition(rule: Rule) -> dict[str, Any]:
    from great_expectations.expectations.row_conditions import Column

    if rule.defect:
        return {"row_condition": Column("defect") == rule.defect}
    if rule.generated is None:
        return {}
    kind = Column("mask_kind")
    return {"row_condition": kind == ATTENTION if rule.generated else kind != ATTENTION}


def _observed(result: Any) -> str:
    if problem := _exception(result.exception_info):
        return f"could not be checked: {problem}"
    found: Mapping[str, Any] = result.result
    if "unexpected_count" in found:
        examples = [_example(row) for row in found.get("partial_unexpected_index_list") or []]
        share = f" ({found['unexpected_percent']:.2g}%)" if found["unexpected_count"] else ""
        listed = f": {', '.join(examples)}" if examples else ""
        return f"{found['unexpected_count']} of {found['element_count']} rows deviate{share}{listed}"
    if "partial_missing_list" in found:
        return f"missing: {', '.join(map(str, found['partial_missing_list'])) or 'none'}"
    if "details" in found:
        differing = found["details"]["mismatched"]
        return "; ".join(f"{what}: {', '.join(columns)}" for what, columns in differing.items())
    value = found["observed_value"]
    return f"{len(value)} columns" if isinstance(value, list) else str(value)


def _exception(info: Mapping[str, Any]) -> str | None:
    """Return the first message of GX's exception info, which is flat or one entry per metric."""
    entries = [info] if "raised_exception" in info else list(info.values())
    return next((e["exception_message"] for e in entries if e["raised_exception"]), None)


def _example(row: Mapping[str, Any]) -> str:
    values = [_text(value) for column, value in row.items() if column != ROW_NAME]
    return f"{row.get(ROW_NAME, 'row')} ({', '.join(values)})" if len(values) == 1 else str(row.get(ROW_NAME, "row"))


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _page(title: str, result: Any, outcomes: Sequence[Outcome]) -> str:
    """Render the library's own sections in our page, because theirs loads its styles and scripts from the network."""
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    for entry in result.results:
        entry.result = _escaped(entry.result)
    document = ValidationResultsPageRenderer().render(result)
    document.sections = document.sections[1:]  # the first one holds the clock, batch ids and links to pages not made
    view = DefaultJinjaPageView(custom_views_directory=str(Path(__file__).parent))
    numbers = count()
    view.env.filters["generate_html_element_uuid"] = lambda prefix="": f"{prefix}{next(numbers)}"
    failed = [o for o in outcomes if not o.success]
    page: str = view.render(document, "data_docs.html", title=title, failed=failed, total=len(outcomes))
    return page


def _escaped(value: Any) -> Any:
    """Escape every text in `value`: the library puts unexpected values, such as file names, into its page raw."""
    if isinstance(value, str):
        return escape(value, quote=False)
    if isinstance(value, Mapping):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_escaped(item) for item in value)
    return value
