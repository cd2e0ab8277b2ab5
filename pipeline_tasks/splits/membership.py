"""Who is base and who is test, as a CSV table that git keeps: made once, read by every later ingest."""

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from pipeline_tasks.errors import DataError
from pipeline_tasks.schema import GOOD
from pipeline_tasks.splits.guard import BASE, TEST
from pipeline_tasks.splits.protocols import Scheme
from pipeline_tasks.storage import atomic_file

SPLITS = (BASE, TEST)
TRUTH = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True)
class Member:
    """One sample's side of the split. Rows of samples that are gone stay: they may return."""

    source_path: str
    sha256: str
    defect: str
    held_out: bool
    """The data set itself names the sample for testing."""
    split: str
    group: str
    """Of near-duplicates: the lowest source_path among them. Else empty."""
    present: bool
    """Whether the last ingest used it."""
    protocol: str
    """The scheme that the split was made by."""
    withdrawn: str = ""
    """When, by whom and why a person took it out of use, whatever its file is called; else empty."""


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """Groups of near-duplicates, by source_path, and how many of them a split by name alone would have cut in two."""

    groups: list[list[str]]
    crossing: int


COLUMNS = [field.name for field in fields(Member)]
COLUMNS_BEFORE = COLUMNS[:-1]
"""Those of a table from before samples could be withdrawn."""


def write_members(path: Path, members: Iterable[Member]) -> None:
    """Write the table, sorted by defect and source_path, so that a change is a line of a diff."""
    ordered = sorted(members, key=lambda member: (member.defect, member.source_path, member.sha256))
    with atomic_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerow(COLUMNS)
        for member in ordered:
            words = ({True: "yes", False: "no"}.get(value, value) for value in asdict(member).values())
            writer.writerow(words)


def read_members(path: Path) -> list[Member]:
    """Read the table. Raises DataError naming the file, the line and what is wrong with it."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return parse_members(path, file)
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing; run `dvc repro` to make it") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text in UTF-8; {_REMEDY}") from error


_REMEDY = "correct it, take it back from git, or delete the file to split anew and to forget what was withdrawn"


def parse_members(path: Path, lines: Iterable[str]) -> list[Member]:
    """Return the table in the `lines` of the file `path`, with their ends. Raises as `read_members`."""
    return _checked(path, list(_rows(path, lines)))


def _rows(path: Path, lines: Iterable[str]) -> Iterator[tuple[int, Member]]:
    reader = csv.reader(lines, strict=True)
    try:
        columns = next(reader, None)
        if columns is None:
            raise _wrong(path, 1, "the file is empty")
        if columns not in (COLUMNS, COLUMNS_BEFORE):
            raise _wrong(path, 1, f"expected the columns {','.join(COLUMNS)}")
        for values in filter(None, reader):
            if len(values) != len(columns):
                raise _wrong(path, reader.line_num, f"{len(values)} columns instead of {len(columns)}")
            yield reader.line_num, _member(path, reader.line_num, values)
    except csv.Error as error:
        raise _wrong(path, reader.line_num, str(error)) from error


def _member(path: Path, line: int, values: Sequence[str]) -> Member:
    source_path, sha256, defect, held_out, split, group, present, protocol, *withdrawn = values
    if split not in SPLITS:
        raise _wrong(path, line, f"split '{split}' is neither base nor test")
    for name, value in (("held_out", held_out), ("present", present)):
        if value not in TRUTH:
            raise _wrong(path, line, f"{name} '{value}' is neither yes nor no")
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        raise _wrong(path, line, f"sha256 '{sha256}' is no digest")
    try:
        Scheme.read(protocol)
    except ValueError as error:
        raise _wrong(path, line, str(error)) from error
    said = "".join(withdrawn).strip()
    return Member(source_path, sha256, defect, TRUTH[held_out], split, group, TRUTH[present], protocol, said)


def _checked(path: Path, rows: Sequence[tuple[int, Member]]) -> list[Member]:
    first: dict[str, int] = {}
    for line, member in rows:
        if (earlier := first.setdefault(member.sha256, line)) != line:
            raise _wrong(path, line, f"'{member.source_path}' is in line {earlier} already")
        if member.protocol != rows[0][1].protocol:
            raise _wrong(path, line, f"protocol '{member.protocol}', in the lines before '{rows[0][1].protocol}'")
    return [member for _, member in rows]


def _wrong(path: Path, line: int, what: str) -> DataError:
    return DataError(f"{path}, line {line}: {what}; {_REMEDY}")


def near_duplicates(members: Sequence[Member]) -> NearDuplicates:
    """Return the groups among the `members` that are present, and how many the protocol by name alone would cut in two.

    By name alone, normal images are where the data set has them.
    """
    groups: dict[str, list[Member]] = defaultdict(list)
    by_defect: dict[str, list[Member]] = defaultdict(list)
    for member in (member for member in members if member.present):
        by_defect[member.defect].append(member)
        if member.group:
            groups[member.group].append(member)
    base = {member for rows in by_defect.values() for member in _base_by_name(rows)}
    together = [group for _, group in sorted(groups.items()) if len(group) > 1]
    crossing = sum(0 < len(base.intersection(group)) < len(group) for group in together)
    return NearDuplicates([sorted(member.source_path for member in group) for group in together], crossing)


def _base_by_name(rows: Sequence[Member]) -> list[Member]:
    """Return the base of the `rows` of one defect."""
    free = [row for row in rows if not row.held_out]
    if rows[0].defect == GOOD:
        return free
    paths = Scheme.read(rows[0].protocol).base_of(rows[0].defect, len(rows), (row.source_path for row in free))
    return [row for row in free if row.source_path in paths]
