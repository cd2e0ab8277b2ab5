import pair_tables
import pandas as pd
import pytest

from pipeline_tasks.quality import suite
from pipeline_tasks.quality.rule import Rule, between
from pipeline_tasks.quality.suite import check


def visible(**more):
    return between("visible", "Labels", "Defects are visible", "change_inside", 5, None, **more)


@pytest.fixture
def pairs(tmp_path):
    """Stores the sound pairs, after changes to them."""

    def store(change=lambda pairs: pairs):
        return pair_tables.stored(change(pair_tables.sound()), tmp_path / "pairs.parquet")

    return store


def spoil(column, **values):
    """Return the change of `column` in rows given by index: spoil("seed", _0=1)."""

    def change(pairs):
        for row, value in values.items():
            pairs.loc[int(row[1:]), column] = value
        return pairs

    return change


def test_outcomes_follow_the_rules_and_name_the_offending_pairs(pairs):
    many = Rule("rows", "Amounts", "Rows", "ExpectTableRowCountToBeBetween", {"min_value": 99}, "at least 99")
    outcomes = check([visible(), many], pairs(spoil("change_inside", _0=0.5, _7=-2.0)))
    assert [(o.rule.name, o.success) for o in outcomes] == [("visible", False), ("rows", False)]
    assert outcomes[0].observed == "2 of 12 deviate (16.7%): plate/pit/000000 (0.5), plate/scratch/000001 (-2)"
    assert str(outcomes[1]) == "Rows: wanted at least 99, found 12"


def test_only_the_first_offending_pairs_are_named(pairs):
    (outcome,) = check([visible()], pairs(lambda p: p.assign(change_inside=0.0)))
    assert outcome.observed.startswith("12 of 12 deviate (100%): plate/pit/000000 (0), ")
    assert outcome.observed.count("plate/") == suite.EXAMPLES
    assert outcome.observed.endswith(", ...")


def test_a_rule_for_one_defect_looks_at_its_rows_only_and_names_them(pairs):
    outcomes = check([visible(defect="pit"), visible(defect="scratch")], pairs(spoil("change_inside", _7=0.5)))
    assert [o.observed for o in outcomes] == [
        "none of 6 deviates",
        "1 of 6 deviate (16.7%): plate/scratch/000001 (0.5)",
    ]


def test_a_rule_with_nothing_to_look_at_holds_and_says_so(pairs):
    (outcome,) = check([visible(where=(("mask_kind", "=", "attention"),))], pairs())
    assert (outcome.success, outcome.observed) == (True, "nothing to look at")


def test_a_share_may_deviate(pairs):
    spoilt = pairs(spoil("change_inside", _0=0.5))
    assert [check([visible(mostly=share)], spoilt)[0].success for share in (0.9, 0.95)] == [True, False]


def test_a_rule_on_a_missing_column_fails_instead_of_raising(pairs):
    (outcome,) = check([visible()], pairs(lambda p: p.drop(columns="change_inside")))
    assert not outcome.success
    assert outcome.observed.startswith("could not be checked: ")
    assert "change_inside" in outcome.observed


def test_columns_that_differ_are_named(pairs):
    rule = Rule(
        "columns",
        "Table",
        "As declared",
        "ExpectColumnPairValuesToBeEqual",
        {"column_A": "found", "column_B": "declared"},
        table="columns",
    )
    assert check([rule], pairs())[0].observed == "none of 44 deviates"
    differing = pairs(lambda p: p.drop(columns="spill").assign(extra=pd.array([1] * 12, "int64")))
    observed = check([rule], differing)[0].observed
    assert observed == "2 of 45 deviate (4.44%): spill (none instead of double), extra (int64 instead of none)"


def test_batches_hold_few_values_and_change_no_outcome(pairs, monkeypatch):
    rules = [
        *(between("range", "Table", f"{c} in range", c, 0, 0.55) for c in ("alignment", "spill", "label_iou", "alpha")),
        visible(defect="pit"),
        between("mask", "Masks", "Large", "mask_area_px", 1, None, defect="pit"),
        Rule("seeds", "Table", "Seeds", "ExpectCompoundColumnsToBeUnique", {"column_list": ["defect", "seed"]}),
    ]
    at_once, read = check(rules, pairs()), []
    monkeypatch.setattr(suite, "VALUES_PER_BATCH", 24)
    table = pairs()
    monkeypatch.setattr(
        table,
        "read",
        lambda columns, filters=(), read_all=table.read: (read.append(columns), read_all(columns, filters))[1],
    )
    assert check(rules, table) == at_once
    assert max(len(columns) for columns in read) == 2
