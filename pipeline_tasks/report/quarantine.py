"""quarantine.html of a version: every raw file that was set aside, with the reason and what to do about it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline_tasks.report.contents import Head, ProductContents
from pipeline_tasks.report.templates import fill
from pipeline_tasks.schema import SetAside


@dataclass(frozen=True)
class Bar:
    """A reason, how many files it holds for, in percent of the most frequent reason's, and what to do."""

    reason: str
    files: int
    percent: int
    remedy: str


def histogram(rows: Sequence[SetAside]) -> list[Bar]:
    """Return a bar for each reason among `rows`, the most frequent first."""
    counts = Counter((row.reason, row.remedy) for row in rows)
    most = max(counts.values(), default=1)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [Bar(reason, number, 100 * number // most, remedy) for (reason, remedy), number in ordered]


def render_quarantine(head: Head, products: Sequence[ProductContents]) -> str:
    """Return the page as HTML."""
    sections = [{"name": p.product, "rows": p.set_aside, "histogram": histogram(p.set_aside)} for p in products]
    return fill("quarantine.html", head=head, products=sections)
