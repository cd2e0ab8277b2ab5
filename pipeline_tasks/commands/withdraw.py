"""`defectline withdraw`: take a real sample out of use, on record in the stored split, or put it back."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline_tasks.commands.names import NamedProduct
from pipeline_tasks.lineage.turns import in_turn

if TYPE_CHECKING:
    from pipeline_tasks.splits.membership import Member

NEXT = "next: `make refresh` (or `dvc repro`, then `defectline publish`) makes a version %s; earlier ones stay"


def withdraw(
    product: NamedProduct,
    sample: Annotated[str, typer.Argument(help="its source_path, as in the stored split, or the begin of its SHA-256")],
    reason: Annotated[str, typer.Option(help="kept with the sample")] = "",
    undo: Annotated[bool, typer.Option("--undo", help="put a withdrawn sample back where it was")] = False,
) -> None:
    """Take a real sample out of use, on record; the next refresh sets its file aside, whatever that is called."""
    from pipeline_tasks.errors import ConfigError

    if undo == bool(reason.strip()):
        known = "git keeps what was said before; give none" if undo else "empty; say why, for those who wonder later"
        raise ConfigError(f"--reason: {known}")
    split = Path("splits", f"{product}.csv")
    with in_turn("withdraw"):
        if undo:
            _put_back(split, product, sample)
        else:
            _take_out(split, product, sample, " ".join(reason.split()))


def _take_out(split: Path, product: str, asked: str, reason: str) -> None:
    from datetime import UTC, datetime

    from pipeline_tasks.lineage.revision import git_identity
    from pipeline_tasks.splits.membership import read_members

    members = read_members(split)
    found = _found(split, members, product, asked, lambda row: row.present)
    name = f"{product}/{found.source_path}"
    if found.withdrawn:
        print(f"{name}: withdrawn already, {found.withdrawn}; nothing is changed")
        return
    said = f"{datetime.now(UTC).date().isoformat()} {git_identity(Path())}: {reason}"
    _replace(split, members, found, said)
    print(f"{name}, {found.sha256}: a {found.split} sample of '{found.defect}', withdrawn: {said}")
    _print_left(split, members, found)
    _print_touched(found)
    print(NEXT % "without it")


def _put_back(split: Path, product: str, asked: str) -> None:
    from pipeline_tasks.splits.membership import read_members

    members = read_members(split)
    found = _found(split, members, product, asked, lambda row: bool(row.withdrawn))
    name = f"{product}/{found.source_path}"
    if not found.withdrawn:
        print(f"{name}: not withdrawn; nothing is changed")
        return
    _replace(split, members, found, "")
    print(f"{name}, {found.sha256}: a {found.split} sample of '{found.defect}' again; it was: {found.withdrawn}")
    print(NEXT % "with it, if its file is still there")


def _replace(split: Path, members: "Sequence[Member]", found: "Member", said: str) -> None:
    from dataclasses import replace

    from pipeline_tasks.splits.membership import write_members

    write_members(split, [replace(member, withdrawn=said) if member is found else member for member in members])


def _found(
    split: Path, members: "Sequence[Member]", product: str, asked: str, is_meant: "Callable[[Member], bool]"
) -> "Member":
    """Return the row of a sample: one that `is_meant`, where several contents have had its name.

    Raises DataError if there is none, or more than one.
    """
    from pipeline_tasks.audit.trace import naming
    from pipeline_tasks.errors import DataError

    is_named = naming(asked)
    rows = [row for row in members if is_named(product, row.source_path, row.sha256)]
    found = [row for row in rows if is_meant(row)] or rows
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(f"{row.sha256} ({row.source_path})" for row in found)
        raise DataError(f"{split}: '{asked}' names {len(found)} samples: {several}; give the SHA-256 of one")
    origin = next((row for row in members if asked.startswith(f"{row.source_path}#")), None)
    remedy = f"it is made from {origin.source_path}, name that" if origin else "name one as that file does"
    raise DataError(f"{split}: no sample '{asked}'; {remedy}")


def _print_left(split: Path, members: "Sequence[Member]", found: "Member") -> None:
    """Print what stays of the same part, and whether nothing stays of a defect on its side."""
    from pipeline_tasks.schema import GOOD

    others = [row for row in members if row is not found and row.present and not row.withdrawn]
    if shots := [row.source_path for row in others if found.group and row.group == found.group]:
        print(f"other shots of the same part stay, decide on each: {', '.join(shots)}")
    if found.defect != GOOD and not any((row.defect, row.split) == (found.defect, found.split) for row in others):
        remedy = f"add a new one, move one there by hand in {split}, or take the defect out of catalog.yaml"
        print(f"warning: no other {found.split} sample of '{found.defect}' is left; {remedy}")


def _print_touched(found: "Member") -> None:
    """Print what was published with a sample; that this cannot be told undoes nothing."""
    from pipeline_tasks.audit.trace import trace
    from pipeline_tasks.audit.trace_text import lines
    from pipeline_tasks.commands.registered_models import registered_models
    from pipeline_tasks.errors import DefectlineError
    from pipeline_tasks.lineage.objects import stored_objects

    print("what was published with it:")
    try:
        with stored_objects(Path.cwd(), cache=True) as objects:
            told = lines(trace(Path.cwd(), objects, found.sha256, registered_models()))
    except DefectlineError as error:
        told = [f"unchecked: {error}"]
    print(*(f"  {line}" for line in told), sep="\n")
