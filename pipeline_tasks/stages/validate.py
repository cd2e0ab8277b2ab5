"""Validate: is a product's set of pairs fit to be published, and is it as large as was asked?"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import pandas as pd

from pipeline_tasks.quality.data_docs import render
from pipeline_tasks.quality.expected import Expected
from pipeline_tasks.quality.leakage import hold_out
from pipeline_tasks.quality.pair_table import PairTable
from pipeline_tasks.quality.rules import rules
from pipeline_tasks.quality.suite import Outcome, check
from pipeline_tasks.splits.guard import Placed
from pipeline_tasks.validate_params import Validate

Reasons = Mapping[str, Mapping[str, int]]
"""Defect -> reason -> how many."""
MADE = "good, made from base images"


@dataclass(frozen=True)
class Gate:
    """The gate's judgement: `result` for machines (JSON values), `docs` for people (an HTML page)."""

    product: str
    outcomes: list[Outcome]
    counts: dict[str, Any]

    @property
    def refusals(self) -> list[Outcome]:
        """The failed expectations that stop the refresh."""
        return [o for o in self.outcomes if not o.success and o.rule.severity == "critical"]

    @property
    def warnings(self) -> list[Outcome]:
        """The failed expectations that do not stop the refresh."""
        return [o for o in self.outcomes if not o.success and o.rule.severity == "warning"]

    @property
    def result(self) -> dict[str, Any]:
        """Verdict, counts and every expectation; the same pairs give the same result."""
        return {
            "product": self.product,
            "verdict": "failed" if self.refusals else "passed",
            "counts": self.counts,
            "expectations": [_entry(outcome) for outcome in self.outcomes],
        }

    @property
    def docs(self) -> str:
        """The Data Docs."""
        return render(f"Pairs of {self.product}", self.outcomes, list(self.counts["shortfall"].values()))


def run(params: Validate, expected: Expected, pairs: PairTable, rejected: Reasons, refused: Reasons) -> Gate:
    """Judge the pairs of a product.

    `rejected`: pairs that generate gave up, `refused`: pairs that no mask could be placed for. Raises LeakageError
    naming the sample that is in the wrong split.
    """
    hold_out(_rows(expected.base), _rows(expected.test), "validate")
    made = pairs.count("defect")
    counts = {
        "asked_per_defect": expected.asked,
        "pairs": {defect: made.get(defect, 0) for defect in sorted({*expected.wanted, *made})},
        "made_again": _sorted(pairs.count("defect", [("attempts", ">", 1)])),
        "rejected": {defect: _sorted(reasons) for defect, reasons in sorted(rejected.items())},
        "refused": {defect: _sorted(reasons) for defect, reasons in sorted(refused.items())},
        "base": _sorted(_by_defect(expected.base)),
        "test": _sorted(_by_defect(expected.test)),
        "shortfall": {
            defect: _shortfall(expected, defect, made.get(defect, 0), rejected.get(defect, {}), refused.get(defect, {}))
            for defect in expected.wanted
            if made.get(defect, 0) < expected.asked
        },
    }
    return Gate(expected.product, check(rules(params, expected, made), pairs), counts)


def _by_defect(samples: pd.DataFrame) -> Counter[str]:
    """Count real samples by defect, and normal images that were made from them apart."""
    return Counter(samples.defect.where(samples.derived_from.isna(), MADE))


def _rows(samples: pd.DataFrame) -> Iterable[Placed]:
    return cast("Iterable[Placed]", samples.itertuples())


def _shortfall(
    expected: Expected, defect: str, made: int, rejected: Mapping[str, int], refused: Mapping[str, int]
) -> str:
    """Say by how much a defect's pairs fall short of what was asked, and why."""
    why = [
        f"{sum(reasons.values())} {what} ({_listed(reasons)})"
        for what, reasons in (
            ("were made and could not be kept", rejected),
            ("had no mask that could be placed", refused),
        )
        if reasons
    ]
    if not why and defect not in expected.zero_shot and not expected.paths(defect):
        why = [f"'{expected.product}' has no base sample to learn it from"]
    because = " and ".join(why) or "no reason is on record; run `dvc repro` to make the missing shards"
    return f"{made} of {expected.asked} pairs of '{defect}', {expected.asked - made} too few: {because}."


def _listed(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{reason}: {number}" for reason, number in _sorted(reasons).items())


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def _entry(outcome: Outcome) -> dict[str, Any]:
    rule = outcome.rule
    shown = ("name", "topic", "sentence", "column", "defect", "severity", "threshold")
    return {key: getattr(rule, key) for key in shown} | {"success": outcome.success, "observed": outcome.observed}
