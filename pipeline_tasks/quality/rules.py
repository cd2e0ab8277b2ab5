"""What the quality gate asks of a product's pairs: each rule is one expectation with the sentence it stands for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Literal

import pandas as pd

from pipeline_tasks.params import Validate
from pipeline_tasks.schema import GOOD, PIXEL_COLUMNS, Pair, arrow_schema

PAIR_COLUMNS = [name for name in arrow_schema(Pair).names if name not in PIXEL_COLUMNS]
REQUIRED = [name for name in PAIR_COLUMNS if not arrow_schema(Pair).field(name).nullable]
ORIGIN = ("normal_path", "parent_a", "parent_b", "alpha")
"""What a pair on a real normal image has, and one that was generated whole has not."""
SHA256 = "^[0-9a-f]{64}$"
FILLED = r"\S"


@dataclass(frozen=True)
class Rule:
    """One expectation on the pair manifest."""

    name: str
    sentence: str
    expectation: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    threshold: str = ""
    severity: Literal["critical", "warning"] = "critical"
    defect: str | None = None
    """Only the rows of this defect are looked at; None = all."""
    generated: bool | None = None
    """Only pairs that were generated whole, mask included, are looked at; False = only the others; None = all."""

    @property
    def column(self) -> str | None:
        """The column in question, None for rules on the whole table."""
        return self.arguments.get("column")

    @property
    def key(self) -> str:
        """Name, column and defect: unique among the rules of a product."""
        return "/".join([self.name, self.column or "*", self.defect or "*"])


@dataclass(frozen=True)
class Expected:
    """What a product's pairs are measured against: its defects, its real samples, and the pairs asked for per defect.

    `base` and `test` are Sample manifests without pixels. `zero_shot`: defects that are learned on other products.
    """

    product: str
    defects: list[str]
    base: pd.DataFrame
    test: pd.DataFrame
    asked: int
    zero_shot: Sequence[str] = ()

    @property
    def wanted(self) -> list[str]:
        """The defects that there should be pairs of: the product's own, then those learned on other products."""
        return [*self.defects, *self.zero_shot]

    def paths(self, defect: str) -> list[str]:
        """Return the source paths of a defect's base samples, sorted."""
        return sorted(self.base.loc[self.base.defect == defect, "source_path"])


def rules(params: Validate, expected: Expected, made: int) -> list[Rule]:
    """Return every rule of the gate for `made` pairs of a product, in the order in which a person reads them."""
    return [
        *_amounts(params, expected, made),
        *_schema(expected),
        *_labels(params, expected),
        *_sources(expected),
        *_provenance(),
    ]


def _amounts(params: Validate, expected: Expected, made: int) -> Iterator[Rule]:
    yield Rule("has_pairs", "There are pairs", "ExpectTableRowCountToBeBetween", {"min_value": 1}, "at least 1 pair")
    wanted = ceil(params.min_pairs_fraction * expected.asked)
    for defect in expected.wanted:
        learnable = bool(expected.paths(defect))
        without = "" if learnable else f", though no base samples of '{expected.product}' to learn from"
        yield Rule(
            "defect_has_pairs",
            f"'{defect}' has pairs{without}",
            "ExpectColumnDistinctValuesToContainSet",
            {"column": "defect", "value_set": [defect]},
            "at least 1 pair",
            "critical" if learnable else "warning",
            defect,
        )
        yield Rule(
            "enough_pairs",
            f"Nearly all pairs asked for '{defect}' were made",
            "ExpectColumnUniqueValueCountToBeBetween",
            {"column": "pair_id", "min_value": wanted},
            f"at least {wanted} of {expected.asked} pairs",
            "warning",
            defect,
        )
    fewest = min(params.min_distinct_normals, len(expected.paths(GOOD)), made)
    yield Rule(
        "distinct_normals",
        "The pairs are made on several normal images",
        "ExpectColumnUniqueValueCountToBeBetween",
        {"column": "normal_sha256", "min_value": fewest},
        f"at least {fewest} normal images",
    )


def _schema(expected: Expected) -> Iterator[Rule]:
    yield Rule(
        "columns",
        "The manifest has exactly the columns of a Pair",
        "ExpectTableColumnsToMatchSet",
        {"column_set": PAIR_COLUMNS, "exact_match": True},
        f"{len(PAIR_COLUMNS)} columns",
    )
    for column in REQUIRED:
        sentence = f"Every pair has its {column}"
        yield Rule("present", sentence, "ExpectColumnValuesToNotBeNull", {"column": column}, "no null")
    for column in ORIGIN:
        here, nowhere = f"Every pair on a real normal image has its {column}", f"No generated whole pair has a {column}"
        yield Rule("present", here, "ExpectColumnValuesToNotBeNull", {"column": column}, "no null", generated=False)
        yield Rule("absent", nowhere, "ExpectColumnValuesToBeNull", {"column": column}, "null", generated=True)
    for column, allowed in (("product", [expected.product]), ("defect", expected.wanted)):
        yield _in_set("known", f"Every pair is of a {column} of the catalog", column, allowed, ", ".join(allowed))
    for column, sentence in (
        ("pair_id", "No two pairs have one pair_id"),
        ("image_sha256", "No two pairs have the same image"),
    ):
        yield Rule("unique", sentence, "ExpectColumnValuesToBeUnique", {"column": column}, "no duplicate")
    yield Rule(
        "unique_seed",
        "No two pairs of a defect have one seed",
        "ExpectCompoundColumnsToBeUnique",
        {"column_list": ["product", "defect", "seed"]},
        "no duplicate",
    )


def _labels(params: Validate, expected: Expected) -> Iterator[Rule]:
    yield _between("mask_not_empty", "Every mask marks something", "mask_area_px", 1, None, "at least 1 px")
    yield _between(
        "untouched_outside",
        "Outside the dilated mask every pair equals its normal image",
        "change_outside_max",
        0,
        0,
        "0 grey levels",
    )
    for defect in expected.wanted:
        yield Rule(
            "defect_visible",
            f"The defect shows inside the mask in nearly every pair of '{defect}'",
            "ExpectColumnValuesToBeBetween",
            {"column": "change_inside", "min_value": params.min_change_inside, "mostly": params.min_visible_fraction},
            f"at least {params.min_change_inside:g} grey levels in at least {params.min_visible_fraction:.0%} of pairs",
            defect=defect,
        )
        areas = expected.base.loc[expected.base.defect == defect, "mask_area_px"]
        if len(areas):
            low, high = float(areas.min() / params.area_slack), float(areas.max() * params.area_slack)
            yield Rule(
                "mask_area_as_seen",
                f"Masks of '{defect}' are about as large as real ones ({areas.min()} to {areas.max()} px)",
                "ExpectColumnValuesToBeBetween",
                {"column": "mask_area_px", "min_value": low, "max_value": high},
                f"{low:g} to {high:g} px",
                defect=defect,
            )


def _sources(expected: Expected) -> Iterator[Rule]:
    normals, test = expected.paths(GOOD), sorted(expected.test.source_path)
    yield _in_set("base_only", "Every pair is made on a normal image of the base set", "normal_path", normals)
    yield _not_in_set("never_test", "No pair is made on a test image", "normal_path", test)
    copies = sorted(expected.test.sha256)
    yield _not_in_set("never_test", "No pair is made on a copy of a test image", "normal_sha256", copies)
    product = expected.product
    for defect in expected.defects:
        sentence = f"'{defect}' is learned on '{product}'"
        yield _in_set("learned_on", sentence, "source", [product], f"'{product}'", defect)
    for defect in expected.zero_shot:
        sentence = f"'{defect}' is learned on another product; its areas and parents have nothing real here to match"
        yield _not_in_set("learned_on", sentence, "source", [product], f"not '{product}'", defect)
    for column in ("parent_a", "parent_b"):
        for defect in expected.defects:
            sentence = f"Masks of '{defect}' come from its base samples"
            yield _in_set("base_only", sentence, column, expected.paths(defect), defect=defect)
            sentence = f"No mask of '{defect}' comes from a test image"
            yield _not_in_set("never_test", sentence, column, test, defect=defect)


def _provenance() -> Iterator[Rule]:
    for column in ("backend_digest", "normal_sha256", "image_sha256"):
        yield _matches("complete", f"Every {column} is a SHA-256", column, SHA256, "64 hex digits")
    for column in ("backend", "prompt", "mask_kind"):
        yield _matches("complete", f"Every pair says its {column}", column, FILLED, "not empty")
    yield _between("between_parents", "Interpolation weights lie between the parents", "alpha", 0, 1, "0 to 1")


def _between(name: str, sentence: str, column: str, low: float, high: float | None, threshold: str) -> Rule:
    arguments = {"column": column, "min_value": low, "max_value": high}
    return Rule(name, sentence, "ExpectColumnValuesToBeBetween", arguments, threshold)


def _in_set(
    name: str, sentence: str, column: str, allowed: list[str], threshold: str = "", defect: str | None = None
) -> Rule:
    arguments = {"column": column, "value_set": allowed}
    threshold = threshold or f"one of {len(allowed)} base samples"
    return Rule(name, sentence, "ExpectColumnValuesToBeInSet", arguments, threshold, defect=defect)


def _not_in_set(
    name: str, sentence: str, column: str, banned: list[str], threshold: str = "", defect: str | None = None
) -> Rule:
    arguments = {"column": column, "value_set": banned}
    threshold = threshold or f"none of {len(banned)} test samples"
    return Rule(name, sentence, "ExpectColumnValuesToNotBeInSet", arguments, threshold, defect=defect)


def _matches(name: str, sentence: str, column: str, regex: str, threshold: str) -> Rule:
    return Rule(name, sentence, "ExpectColumnValuesToMatchRegex", {"column": column, "regex": regex}, threshold)
