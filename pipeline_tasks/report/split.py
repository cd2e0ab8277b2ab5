"""What the report says of a product's split: how it was made, and which shots of one part it keeps together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline_tasks.report.tables import Cell, Table
from pipeline_tasks.splits.membership import Member, NearDuplicates, near_duplicates

GROUPS_SHOWN = 10


@dataclass(frozen=True)
class Shots:
    """A group of near-duplicates, by source_path, and the side of the split that they are on."""

    side: str
    members: Sequence[str]


@dataclass(frozen=True)
class SplitSection:
    """sizes: samples by defect and side. groups: the first GROUPS_SHOWN of near-duplicates; more: further ones."""

    protocol: str
    sizes: Table
    summary: str
    groups: Sequence[Shots]
    more: int


def split_section(members: Sequence[Member], counts: Mapping[str, Any]) -> SplitSection:
    """Return what the report shows of a split: `members` tells who is on which side, `counts` of the gate how many."""
    found = near_duplicates(members)
    side = {member.source_path: member.split for member in members}
    shots = [Shots(side[group[0]], group) for group in found.groups[:GROUPS_SHOWN]]
    protocol = ", ".join(sorted({member.protocol for member in members}))
    return SplitSection(protocol, _sizes(counts), _summary(found), shots, max(0, len(found.groups) - GROUPS_SHOWN))


def _sizes(counts: Mapping[str, Any]) -> Table:
    base, test = counts["base"], counts["test"]
    rows = [(defect, [Cell(str(side.get(defect, 0))) for side in (base, test)]) for defect in sorted({*base, *test})]
    return Table("", ["base", "test"], rows)


def _summary(found: NearDuplicates) -> str:
    if not found.groups:
        return "No two images look like shots of one part."
    images, parts = sum(map(len, found.groups)), len(found.groups)
    return (
        f"{images} images look like repeated shots of {parts} {'part' if parts == 1 else 'parts'} (near-duplicates). "
        f"Each part is on one side of the split; by name alone, {found.crossing} would have been on both."
    )
