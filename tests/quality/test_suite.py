import re

import pandas as pd
import pytest

from pipeline_tasks.quality.rules import Rule
from pipeline_tasks.quality.suite import check

POSITIVE = Rule(
    "positive", "Sizes are positive", "ExpectColumnValuesToBeBetween", {"column": "size", "min_value": 1}, "at least 1"
)


def rows(*sizes):
    return pd.DataFrame(
        {"pair_id": [f"p/d/{i}" for i in range(len(sizes))], "defect": ["d"] * len(sizes), "size": sizes}
    )


def test_outcomes_follow_the_rules_and_name_the_offending_pairs():
    wanted = Rule("rows", "Three rows", "ExpectTableRowCountToBeBetween", {"min_value": 3}, "at least 3")
    outcomes, _ = check("Pairs of p", [POSITIVE, wanted], rows(4, 0, 9, -2))
    assert [(o.rule.name, o.success) for o in outcomes] == [("positive", False), ("rows", True)]
    assert outcomes[0].observed == "2 of 4 rows deviate (50%): p/d/1 (0), p/d/3 (-2)"
    assert str(outcomes[1]) == "Three rows: wanted at least 3, found 4"


def test_a_rule_for_one_defect_looks_at_its_rows_only():
    mixed = pd.concat([rows(4), rows(-1).assign(defect="other")])
    only = [Rule(**{**vars(POSITIVE), "defect": d}) for d in ("d", "other")]
    outcomes, _ = check("Pairs of p", only, mixed)
    assert [o.success for o in outcomes] == [True, False]


def test_a_rule_on_a_missing_column_fails_instead_of_raising():
    outcomes, _ = check("Pairs of p", [POSITIVE], rows(1).drop(columns="size"))
    assert not outcomes[0].success
    assert outcomes[0].observed.startswith("could not be checked: ")
    assert "size" in outcomes[0].observed


@pytest.mark.parametrize(
    ("columns", "observed"), [(["pair_id", "defect", "size"], "3 columns"), (["pair_id"], "unexpected: defect, size")]
)
def test_columns_are_counted_or_those_that_differ_are_named(columns, observed):
    arguments = {"column_set": columns, "exact_match": True}
    rule = Rule("columns", "As declared", "ExpectTableColumnsToMatchSet", arguments, "as declared")
    (outcome,), _ = check("Pairs of p", [rule], rows(1))
    assert outcome.observed == observed


def test_the_page_is_self_contained_and_depends_on_nothing_but_its_input():
    pages = [check("Pairs of p", [POSITIVE], rows(4, 0))[1] for _ in range(2)]
    assert pages[0] == pages[1]
    assert not re.search(r"https?:|<script|<link|<img|\ssrc=", pages[0])
    assert "Sizes are positive" in pages[0]


@pytest.mark.parametrize(("severity", "heading"), [("critical", "These stop the refresh"), ("warning", "Warnings")])
def test_the_page_says_what_failed_and_how_gravely(severity, heading):
    rule = Rule(**{**vars(POSITIVE), "severity": severity})
    _, failed = check("Pairs of p", [rule], rows(0))
    _, passed = check("Pairs of p", [rule], rows(1))
    assert heading in failed
    assert heading not in passed


def test_names_from_files_cannot_inject_markup():
    named = pd.DataFrame({"pair_id": ["p/d/0"], "path": ["<script>alert(1)</script>"]})
    rule = Rule("known", "Known", "ExpectColumnValuesToBeInSet", {"column": "path", "value_set": ["a"]}, "a")
    _, page = check("Pairs of p", [rule], named)
    assert "<script>" not in page
