"""Which raw samples differ between two versions, and what was done to each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Literal

from pipeline_tasks.errors import DataError
from pipeline_tasks.lineage.files import SPLITS
from pipeline_tasks.lineage.git import answer
from pipeline_tasks.splits.membership import parse_members

Row = Mapping[str, Any]
Change = Literal["added", "removed", "withdrawn", "put back", "replaced", "moved", "renamed", "relabelled"]


@dataclass(frozen=True)
class SampleChange:
    """A real sample, and what became of it; more: from where to where, or who withdrew it, when and why."""

    change: Change
    product: str
    source_path: str
    sha256: str
    more: str


def withdrawn_at(root: Path, revision: str, product: str) -> dict[str, str]:
    """Return when, by whom and why samples were withdrawn, by SHA-256, as git keeps it at `revision`.

    None where there was no stored split yet, or none that can be read.
    """
    name = f"{SPLITS}/{product}.csv"
    try:
        text = answer(root, "show", f"{revision}:./{name}") or ""
        members = parse_members(Path(name), StringIO(text, newline=""))
    except DataError:
        return {}
    return {member.sha256: member.withdrawn for member in members if member.withdrawn}


def sample_changes(
    product: str, old: Mapping[str, Row], new: Mapping[str, Row], before: Mapping[str, str], after: Mapping[str, str]
) -> Iterator[SampleChange]:
    """Yield the changes between a product's real samples `old` and `new`, by SHA-256.

    before, after: what was withdrawn in each version, see `withdrawn_at`.
    """
    for sha256, row in old.items():
        if sha256 in new:
            yield from _moves(product, row, new[sha256])
        elif sha256 in after:
            yield SampleChange("withdrawn", product, row["source_path"], sha256, after[sha256])
        elif row["source_path"] not in {other["source_path"] for other in new.values()}:
            yield SampleChange("removed", product, row["source_path"], sha256, _place(row))
    paths = {row["source_path"]: sha256 for sha256, row in old.items() if sha256 not in new and sha256 not in after}
    for sha256, row in ((sha256, row) for sha256, row in new.items() if sha256 not in old):
        if sha256 in before:
            yield SampleChange("put back", product, row["source_path"], sha256, f"it was: {before[sha256]}")
        elif instead := paths.get(row["source_path"]):
            yield SampleChange("replaced", product, row["source_path"], sha256, f"it was {instead}")
        else:
            yield SampleChange("added", product, row["source_path"], sha256, _place(row))


def _moves(product: str, old: Row, new: Row) -> Iterator[SampleChange]:
    """Yield what is different about a sample of the same content."""
    aspects: tuple[tuple[Change, str], ...] = (("moved", "split"), ("renamed", "source_path"), ("relabelled", "defect"))
    for change, column in aspects:
        if old[column] != new[column]:
            more = f"{old[column]} -> {new[column]}"
            yield SampleChange(change, product, new["source_path"], new["sha256"], more)


def _place(row: Row) -> str:
    return f"{row['split']}, {row['defect']}"
