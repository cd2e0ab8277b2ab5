import pair_tables
import pytest

from pipeline_tasks.quality.rule import Rule
from pipeline_tasks.quality.suite import check

FAR = ["0000000000000000", "ffffffffffffffff", "00000000ffffffff", "ffffffff00000000"]


def asked(expectation, **arguments):
    return Rule("rule", "Variety", "Sentence", expectation, arguments)


@pytest.fixture
def outcome(tmp_path):
    """Checks one expectation on a few pairs with the given values in a column."""

    def ask(rule, **columns):
        pairs = pair_tables.sound()[: len(next(iter(columns.values())))].assign(**columns)
        return check([rule], pair_tables.stored(pairs, tmp_path / "pairs.parquet"))[0]

    return ask


def no_near_copies(max_bits, mostly=1.0):
    columns = {"column_A": "normal_sha256", "column_B": "phash"}
    return asked("ExpectColumnPairValuesToHaveNoNearCopies", **columns, max_bits=max_bits, mostly=mostly)


def test_near_copies_are_those_within_so_many_bits_on_the_same_image(outcome):
    near, same = [*FAR[:3], "0000000000000003"], {"normal_sha256": ["a"] * 4}
    assert outcome(no_near_copies(2), phash=FAR, **same).success
    assert outcome(no_near_copies(1), phash=near, **same).success
    assert outcome(no_near_copies(2), phash=near, normal_sha256=["a", "a", "b", "b"]).success
    found = outcome(no_near_copies(2), phash=near, **same)
    assert not found.success
    assert found.observed == (
        "2 of 4 deviate (50%): plate/pit/000000 (0000000000000000), plate/pit/000003 (0000000000000003)"
    )
    assert outcome(no_near_copies(2, mostly=0.5), phash=near, **same).success


def test_what_is_no_hash_fails_instead_of_raising(outcome):
    found = outcome(no_near_copies(2), phash=["no hash", *FAR[1:]], normal_sha256=["a"] * 4)
    assert not found.success
    assert found.observed.startswith("could not be checked: ")


@pytest.mark.parametrize(
    ("hashes", "observed", "holds"),
    [(FAR, "0.667", True), ([FAR[0], "ffff000000000000"], "0.25", True), (FAR[:1] * 3, "0", False)],
)
def test_the_spread_of_hashes_has_a_floor(outcome, hashes, observed, holds):
    rule = asked("ExpectColumnHashSpreadToBeBetween", column="phash", min_value=0.25)
    found = outcome(rule, phash=hashes)
    assert (found.observed, found.success) == (observed, holds)


def test_one_hash_has_no_spread(outcome):
    found = outcome(asked("ExpectColumnHashSpreadToBeBetween", column="phash", min_value=0), phash=FAR[:1])
    assert (found.observed, found.success) == ("none", False)


@pytest.mark.parametrize(
    ("defects", "observed", "holds"),
    [("aabb", "1", True), ("aaab", "0.333", False), ("aaaa", "0", False), ("aabx", "0.5", True)],
)
def test_the_balance_is_that_of_the_rarest_wanted_value(outcome, defects, observed, holds):
    rule = asked("ExpectColumnValueBalanceToBeBetween", column="defect", value_set=["a", "b"], min_value=0.5)
    found = outcome(rule, defect=list(defects))
    assert (found.observed, found.success) == (observed, holds)


def test_nothing_wanted_at_all_has_no_balance(outcome):
    rule = asked("ExpectColumnValueBalanceToBeBetween", column="defect", value_set=["a", "b"], min_value=0)
    assert not outcome(rule, defect=["x", "y"]).success
