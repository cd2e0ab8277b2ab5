"""The Data Docs: the gate's outcomes as one page for people, which needs no other file and no network."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from pipeline_tasks.quality.suite import Outcome, version

FOLDED = 3
"""So many rules on one column each that ask the same, and hold, become one line to unfold."""


def render(title: str, outcomes: Sequence[Outcome], shortfall: Sequence[str]) -> str:
    """Return the HTML page of `outcomes`, under their topics; `shortfall`: sentences on pairs that are lacking.

    It depends on nothing but the arguments.
    """
    from jinja2 import Environment, FileSystemLoader

    pages = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True)
    failed = [outcome for outcome in outcomes if not outcome.success]
    return pages.get_template("data_docs.html").render(
        title=title,
        topics=[(topic, list(group)) for topic, group in groupby(outcomes, lambda outcome: outcome.rule.topic)],
        fold=_fold,
        refusals=[outcome for outcome in failed if outcome.rule.severity == "critical"],
        warnings=[outcome for outcome in failed if outcome.rule.severity == "warning"],
        shortfall=shortfall,
        total=len(outcomes),
        version=version(),
    )


def _fold(outcomes: Sequence[Outcome]) -> Iterator[list[Outcome]]:
    """Yield the lines of a topic: alike outcomes together where they fold, all others alone."""
    for _, group in groupby(outcomes, lambda outcome: (outcome.rule.name, outcome.rule.defect)):
        alike = list(group)
        if len(alike) >= FOLDED and all(outcome.success and outcome.rule.column for outcome in alike):
            yield alike
        else:
            yield from ([outcome] for outcome in alike)
