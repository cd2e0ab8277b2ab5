"""Validate: is a product's set of pairs fit to be published?"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from pipeline_tasks.params import Validate
from pipeline_tasks.quality.rules import Expected, rules
from pipeline_tasks.quality.suite import Outcome, check


@dataclass(frozen=True)
class Gate:
    """The gate's judgement: `result` for machines (JSON values), `docs` for people (an HTML page)."""

    product: str
    outcomes: list[Outcome]
    counts: dict[str, Any]
    docs: str

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


def run(params: Validate, expected: Expected, pairs: pd.DataFrame, rejected: Mapping[str, int]) -> Gate:
    """Judge the pairs of a product.

    `pairs` is their manifest without pixels; `rejected` tells how many pairs of each defect generate gave up.
    """
    outcomes, docs = check(f"Pairs of {expected.product}", rules(params, expected, len(pairs)), pairs)
    made, again = Counter(pairs.defect), Counter(pairs.defect[pairs.attempts > 1])
    counts = {
        "asked_per_defect": expected.asked,
        "pairs": {defect: made[defect] for defect in sorted({*expected.wanted, *made})},
        "made_again": dict(sorted(again.items())),
        "rejected": dict(sorted(rejected.items())),
        "base": dict(sorted(Counter(expected.base.defect).items())),
        "test": dict(sorted(Counter(expected.test.defect).items())),
    }
    return Gate(expected.product, outcomes, counts, docs)


def _entry(outcome: Outcome) -> dict[str, Any]:
    rule = asdict(outcome.rule)
    del rule["expectation"], rule["arguments"], rule["generated"]
    return rule | {"column": outcome.rule.column, "success": outcome.success, "observed": outcome.observed}
