"""What the quality gate asks of a product's pairs, in the order in which a person reads it."""

from collections.abc import Mapping

from pipeline_tasks.quality.expected import Expected
from pipeline_tasks.quality.pair_rules import labels, masks, variety
from pipeline_tasks.quality.rule import Rule
from pipeline_tasks.quality.table_rules import amounts, origin, table
from pipeline_tasks.validate_params import Validate


def rules(params: Validate, expected: Expected, made: Mapping[str, int]) -> list[Rule]:
    """Return every rule of the gate for a product with so many pairs `made` of each defect.

    A defect without pairs is asked for some, and for nothing else.
    """
    there = {defect: made[defect] for defect in expected.wanted if made.get(defect)}
    return [
        *amounts(params, expected, made),
        *labels(params, expected, [*there]),
        *masks(params, expected, [*there]),
        *variety(params, expected, there),
        *origin(expected, [*there]),
        *table(expected),
    ]
