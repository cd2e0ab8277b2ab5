"""Rules on the table of pairs as such: are there enough, is it what it should be, and where does it all come from?"""

from collections.abc import Iterator, Mapping, Sequence
from math import ceil

from pipeline_tasks.quality.expected import Expected
from pipeline_tasks.quality.rule import ON_REAL, WHOLE, Rule, between, in_set, not_in_set, rows_at_least
from pipeline_tasks.schema import GOOD
from pipeline_tasks.validate_params import Validate

AMOUNTS, TABLE, ORIGIN = "Amounts", "Table", "Origin"
LEARNED_FROM = ("parent_a", "parent_b", "reference", "nearest_base")
"""The columns that name base samples of the pair's defect, where they name any."""
ON_REAL_ONLY = ("normal_path", "parent_a", "parent_b", "alpha")
"""What a pair on a real normal image has, and one that was generated whole has not."""
POSSIBLE: Mapping[str, tuple[float, float | None]] = {
    "pair_index": (0, None),
    "seed": (0, None),
    "mask_seed": (0, None),
    "attempts": (1, None),
    "width": (1, None),
    "height": (1, None),
    "mask_area_fraction": (0, 1),
    "mask_x": (0, 1),
    "mask_y": (0, 1),
    "alpha": (0, 1),
    "alignment": (0, 1),
    "label_iou": (0, 1),
    "spill": (0, 1),
    "change_inside": (0, 255),
    "agreement": (0, 1),
    "nearest_similarity": (0, 1),
}
MATCHING = {
    "backend": (r"\S", "Every pair says its backend", "not empty"),
    "prompt": (r"\S", "Every pair says its prompt", "not empty"),
    "mask_kind": (r"\S", "Every pair says its mask_kind", "not empty"),
    "nearest_base": (r"\S", "Every pair says its nearest_base", "not empty"),
    "phash": ("^[0-9a-f]{16}$", "Every phash is a hash of 64 bits", "16 hex digits"),
    "code_revision": ("^[0-9a-f]{40}$", "Every code_revision is a git tree id", "40 hex digits"),
    **{
        column: ("^[0-9a-f]{64}$", f"Every {column} is a SHA-256", "64 hex digits")
        for column in ("backend_digest", "run_id", "normal_sha256", "image_sha256", "mask_sha256", "row_sha256")
    },
}


def amounts(params: Validate, expected: Expected, made: Mapping[str, int]) -> Iterator[Rule]:
    """Yield the rules on the number of pairs, `made` by defect."""
    yield rows_at_least("has_pairs", AMOUNTS, "There are pairs", 1, threshold="at least 1")
    for defect in expected.wanted:
        yield from _amounts_of(params, expected, defect)
    balance = params.class_balance
    if len(expected.wanted) > 1 and any(made.values()):
        yield Rule(
            "class_balance",
            AMOUNTS,
            "The rarest defect has about as many pairs as the most frequent one",
            "ExpectColumnValueBalanceToBeBetween",
            {"column": "defect", "value_set": expected.wanted, "min_value": balance.min_ratio},
            f"at least {balance.min_ratio:g} of its number",
            balance.level,
        )


def _amounts_of(params: Validate, expected: Expected, defect: str) -> Iterator[Rule]:
    learnable = bool(expected.paths(defect))
    yield rows_at_least(
        "defect_has_pairs",
        AMOUNTS,
        f"'{defect}' has pairs" + ("" if learnable else f", though no base samples of '{expected.product}'"),
        1,
        threshold="at least 1",
        severity="critical" if learnable else "warning",
        defect=defect,
    )
    enough = params.enough_pairs
    wanted = ceil(round(enough.min_fraction * expected.asked, 9))
    yield rows_at_least(
        "enough_pairs",
        AMOUNTS,
        f"'{defect}' has the pairs that were asked for",
        wanted,
        threshold=f"at least {wanted} of {expected.asked}",
        severity=enough.level,
        defect=defect,
    )


def table(expected: Expected) -> Iterator[Rule]:
    """Yield the rules on columns, types, values that are possible, and duplicates."""
    yield Rule(
        "columns",
        TABLE,
        "The table has the columns of a Pair, and no other",
        "ExpectColumnPairValuesToBeEqual",
        {"column_A": "found", "column_B": "declared"},
        "names and types as declared",
        table="columns",
    )
    sentence, none = "Every pair has all that is required of it", "nothing is missing"
    yield between("present", TABLE, sentence, "lacking", 0, 0, threshold=none, table="columns")
    for column in ON_REAL_ONLY:
        sentence, asked = f"Every pair on a real normal image has its {column}", {"column": column}
        yield Rule("has_origin", TABLE, sentence, "ExpectColumnValuesToNotBeNull", asked, none, where=ON_REAL)
    for column in ON_REAL_ONLY:
        sentence, asked = f"No pair that was generated whole has a {column}", {"column": column}
        yield Rule("no_origin", TABLE, sentence, "ExpectColumnValuesToBeNull", asked, "it is missing", where=WHOLE)
    for column, (low, high) in POSSIBLE.items():
        yield between("possible", TABLE, f"Every {column} is possible", column, low, high)
    for column, allowed in (("product", [expected.product]), ("defect", expected.wanted)):
        sentence = f"Every pair is of a {column} of the catalog"
        yield in_set("known", TABLE, sentence, column, allowed, threshold=", ".join(allowed) or "none")
    yield from _unique()


def _unique() -> Iterator[Rule]:
    for column, sentence in (
        ("pair_id", "No two pairs have one pair_id"),
        ("image_sha256", "No two pairs have the same image"),
    ):
        yield Rule("unique", TABLE, sentence, "ExpectColumnValuesToBeUnique", {"column": column}, "no duplicate")
    sentence, columns = "No two pairs of a defect have one seed", {"column_list": ["defect", "seed"]}
    yield Rule("unique_seed", TABLE, sentence, "ExpectCompoundColumnsToBeUnique", columns, "no duplicate")


def origin(expected: Expected, there: Sequence[str]) -> Iterator[Rule]:
    """Yield the rules on base and test, for the defects that are `there`, and on provenance."""
    test, product = sorted(expected.test.source_path), expected.product
    sentence = "Every pair is made on a normal image of the base set"
    yield in_set("base_only", ORIGIN, sentence, "normal_path", expected.paths(GOOD))
    yield not_in_set("never_test", ORIGIN, "No pair is made on a test image", "normal_path", test)
    sentence = "No pair is made on a copy of a test image"
    yield not_in_set("never_test", ORIGIN, sentence, "normal_sha256", sorted(expected.test.sha256))
    own = (("source", "=", product),)
    for column in LEARNED_FROM:
        sentence = f"No {column} is a test image"
        yield not_in_set("never_test", ORIGIN, sentence, column, test, where=own)
    for defect in there:
        yield from _learned_on(expected, defect)
    yield from _traceable()


def _traceable() -> Iterator[Rule]:
    for column, (regex, sentence, threshold) in MATCHING.items():
        asked = {"column": column, "regex": regex}
        yield Rule("complete", ORIGIN, sentence, "ExpectColumnValuesToMatchRegex", asked, threshold)
    yield Rule(
        "mask_seed",
        ORIGIN,
        "A pair whose first attempt was kept is made from its mask's seed",
        "ExpectColumnPairValuesToBeEqual",
        {"column_A": "seed", "column_B": "mask_seed"},
        "seed = mask_seed",
        where=(("attempts", "=", 1),),
    )


def _learned_on(expected: Expected, defect: str) -> Iterator[Rule]:
    product, here = expected.product, {"defect": defect}
    if defect in expected.zero_shot:
        sentence = f"'{defect}' is learned on another product; nothing real here to match its areas, places and parents"
        threshold = f"not '{product}'"
        yield not_in_set("learned_on", ORIGIN, sentence, "source", [product], threshold=threshold, **here)
        return
    sentence = f"'{defect}' is learned on '{product}'"
    yield in_set("learned_on", ORIGIN, sentence, "source", [product], threshold=f"'{product}'", **here)
    for column in LEARNED_FROM:
        sentence = f"The {column} of every pair of '{defect}' is a base sample of it"
        yield in_set("base_only", ORIGIN, sentence, column, expected.paths(defect), **here)
