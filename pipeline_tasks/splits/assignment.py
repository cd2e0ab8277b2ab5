"""Who is base and who test: what is known keeps its side, shots of one part stay together, a protocol does the rest.

Where rules meet, the test side wins: a lost base sample costs less than a leak (METHODS section 0).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline_tasks.params import Ingest
from pipeline_tasks.schema import GOOD
from pipeline_tasks.seeds import derive_seed
from pipeline_tasks.splits.guard import BASE, TEST
from pipeline_tasks.splits.membership import Member
from pipeline_tasks.splits.protocols import MOST_BASE, PROTOCOLS, Rank, Scheme


@dataclass(frozen=True, slots=True)
class Found:
    """A usable sample of today, and its row in the table that is there already."""

    source_path: str
    sha256: str
    defect: str
    held_out: bool
    known: Member | None = None


@dataclass(frozen=True, slots=True)
class Assignment:
    """The new table, and sentences for a person on what is unusual in it."""

    members: list[Member]
    notes: list[str]


@dataclass(slots=True)
class _Part:
    """The shots of one part: one or more samples that stay together."""

    shots: list[Found]
    split: str = ""
    reason: str = ""
    """Why it had to be test, for base samples that move there."""

    @property
    def is_normal(self) -> bool:
        return all(shot.defect == GOOD for shot in self.shots)

    def count(self, defect: str) -> int:
        return sum(shot.defect == defect for shot in self.shots)


def assign(
    params: Ingest, found: Sequence[Found], groups: Sequence[Sequence[int]], known: Sequence[Member]
) -> Assignment:
    """Return the membership of the samples `found`; `groups` are near-duplicates among them, by index.

    A sample of the table `known`, by content or else by path, keeps its side, and its row stays where it is gone. New
    ones join the side of their near-duplicates; else the protocol fills base up to its count. Of a table that another
    scheme made nothing is kept but what is withdrawn.

    A withdrawn sample is not among the `found` and counts nothing, so a new one may take its place in base; a known
    test sample never does. Its row stays, with its side, for the day that it is put back, beside that of another
    content under its name, which has the same side.
    """
    scheme, notes = Scheme.of(params), []
    withdrawn = [replace(row, present=False, protocol=str(scheme)) for row in known if row.withdrawn]
    if known and known[0].protocol != str(scheme):
        notes.append(f"the split is made anew by {scheme}: it was made by {known[0].protocol}")
        known = []
    elif known and found and not {member.sha256 for member in known} & {shot.sha256 for shot in found}:
        notes.append("the stored split knows none of these images, whatever their names: all are split as new ones")
    found = recognise(found, known)
    parts = _parts(found, groups)
    for part in parts:
        _settle(part)
    _fill_base(parts, scheme)
    _fill_test(parts, params.normal_test_fraction)
    _limit_base(parts, scheme)
    members = [_member(shot, part, str(scheme)) for part in parts for shot in part.shots]
    gone = {member.sha256 for member in known} - {shot.known.sha256 for shot in found if shot.known}
    absent = [replace(row, present=False) for row in known if row.sha256 in gone and not row.withdrawn]
    return Assignment(members + absent + withdrawn, [*notes, *_notes(parts)])


def recognise(found: Sequence[Found], known: Sequence[Member]) -> list[Found]:
    """Return the samples with their rows of the table: by SHA-256, else by source_path of a row not taken so.

    Where no content is known, the images are others, and so are those of equal paths.
    """
    by_content = {member.sha256: member for member in known}
    taken = {shot.sha256 for shot in found}
    some = not taken.isdisjoint(by_content)
    by_path = {member.source_path: member for member in known if some and member.sha256 not in taken}
    return [
        Found(s.source_path, s.sha256, s.defect, s.held_out, by_content.get(s.sha256) or by_path.get(s.source_path))
        for s in found
    ]


def _parts(found: Sequence[Found], groups: Sequence[Sequence[int]]) -> list[_Part]:
    grouped = {index for group in groups for index in group}
    alone = [[index] for index in range(len(found)) if index not in grouped]
    return [_Part(sorted((found[i] for i in group), key=lambda s: s.source_path)) for group in [*groups, *alone]]


def _settle(part: _Part) -> None:
    """Give the part the side that it must have, if any."""
    sides = {shot.known.split for shot in part.shots if shot.known}
    if any(shot.held_out for shot in part.shots):
        part.split, part.reason = TEST, "the data set holds it, or a shot of the same part, out for testing"
    elif TEST in sides:
        part.split, part.reason = TEST, "a shot of the same part is a test sample"
    elif BASE in sides:
        part.split = BASE


def _fill_base(parts: Sequence[_Part], scheme: Scheme) -> None:
    """Fill the base of each defect up to the protocol's count; what is left is test.

    A defect whose parts all have more shots than that gets the part with the fewest: without base nothing is learned.
    """
    free = [part for part in parts if not part.split and not part.is_normal]
    samples = Counter(shot.defect for part in parts for shot in part.shots)
    protocol = PROTOCOLS[scheme.name]
    counts = {defect: protocol.base_count(number) for defect, number in samples.items() if defect != GOOD}
    _fill(free, BASE, {d: n - _on_side(parts, BASE, d) for d, n in counts.items()}, _by_lowest(scheme.rank))
    for defect in sorted(counts):
        left = [part for part in free if not part.split and 0 < part.count(defect) <= MOST_BASE]
        if left and not _on_side(parts, BASE, defect):
            min(left, key=lambda part: (len(part.shots), _by_lowest(scheme.rank)(part))).split = BASE
    for part in free:
        part.split = part.split or TEST


def _fill_test(parts: Sequence[_Part], fraction: float) -> None:
    """Hold normal images out where the data set names none; the others are base."""
    free = [part for part in parts if not part.split]
    normals = [shot for part in parts for shot in part.shots if shot.defect == GOOD]
    if not any(shot.held_out for shot in normals):
        wanted = int(fraction * len(normals) + 1e-9) - _on_side(parts, TEST, GOOD)
        _fill(free, TEST, {GOOD: wanted}, _by_lowest(lambda defect, path: (derive_seed(0, defect, path), path)))
    for part in free:
        part.split = part.split or BASE


def _fill(parts: Sequence[_Part], split: str, room: Mapping[str, int], rank: Callable[[_Part], Rank]) -> None:
    """Put parts on the side `split`, in the order of `rank`, where there is room for all of their shots."""
    left = Counter(room)
    for part in sorted(parts, key=rank):
        needed = Counter(shot.defect for shot in part.shots if shot.defect in room)
        if all(left[defect] >= number for defect, number in needed.items()):
            part.split = split
            left.subtract(needed)


def _by_lowest(rank: Callable[[str, str], Rank]) -> Callable[[_Part], Rank]:
    """Return the rank of a part: that of its first defective shot, by name."""
    return lambda part: rank(*min(((s.defect, s.source_path) for s in part.shots), key=lambda s: (s[0] == GOOD, s[1])))


def _limit_base(parts: Sequence[_Part], scheme: Scheme) -> None:
    """Move what is beyond MOST_BASE, by hand or by return, to test, the highest names first."""
    for defect in sorted({shot.defect for part in parts for shot in part.shots} - {GOOD}):
        base = [part for part in parts if part.split == BASE and part.count(defect)]
        for part in sorted(base, key=_by_lowest(scheme.rank), reverse=True):
            if _on_side(parts, BASE, defect) > MOST_BASE:
                part.split, part.reason = TEST, f"there are more than {MOST_BASE} base samples of '{defect}'"


def _on_side(parts: Iterable[_Part], split: str, defect: str) -> int:
    return sum(part.count(defect) for part in parts if part.split == split)


def _member(shot: Found, part: _Part, protocol: str) -> Member:
    group = part.shots[0].source_path if len(part.shots) > 1 else ""
    return Member(shot.source_path, shot.sha256, shot.defect, shot.held_out, part.split, group, True, protocol)


def _notes(parts: Sequence[_Part]) -> list[str]:
    notes = []
    for part in parts:
        moved = [shot.source_path for shot in part.shots if shot.known and shot.known.split != part.split]
        if moved:
            notes.append(f"moved from base to test: {', '.join(moved)}: {part.reason}")
        beside = [shot.source_path for shot in part.shots if not (shot.held_out or shot.known)]
        if beside and any(shot.held_out for shot in part.shots):
            notes.append(f"test: {', '.join(beside)}: {part.reason}")
    for defect in sorted({shot.defect for part in parts for shot in part.shots} - {GOOD}):
        for split, use in ((BASE, "nothing is learned of it"), (TEST, "nothing is measured on it")):
            if not _on_side(parts, split, defect):
                notes.append(f"'{defect}' has no {split} sample: {use}")
    return notes
