"""A comparison as lines of text."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Any

from pipeline_tasks.audit.comparison import Changed, CodeChange, Comparison
from pipeline_tasks.audit.stage_changes import Cause, StageChange

SHOWN = 20
"""Lines of a section; JSON has them all."""
NO_COMMIT = "no commit between the two changes it: it was changed without one"
STATES = {
    "new": "new",
    "gone": "gone",
    "made again": "made again",
    "made again alike": "made again, and the output is the same",
    "unexplained": "SUSPICIOUS: another output, although nothing that it reads has changed",
}
KINDS = {
    "raw samples": "raw samples",
    "stored split": "what the stored split says",
    "parameters": "parameters",
    "code": "code",
    "command": "its command",
}


def lines(found: Comparison) -> list[str]:
    """Return what changed, in lines for a terminal: causes first."""
    sections = {
        "raw samples": [f"{s.change} {s.product}/{s.source_path}: {s.more}" for s in found.samples or ()],
        "parameters": [_change(changed) for changed in found.parameters],
        "code": [line for code in found.code for line in _code(code)],
        "commands": [_change(changed) for changed in found.commands],
        "catalog": [line for changed in found.catalog for line in _entry(changed)],
        "stages": list(_stages(found.stages)),
        "pairs": [_change(number) for number in found.pairs],
        "scores": [_score(number) for number in found.scores],
        "cannot be told": list(found.unknown),
    }
    return [f"{_head(found.old)} -> {_head(found.new)}", *_sections(sections)]


def _head(side: Mapping[str, Any]) -> str:
    name = f"dataset-{side['number']}" if side["number"] else "unpublished"
    return f"{name} (version {side['version']}, commit {side['revision'][:12]})"


def _sections(sections: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for title, told in sections.items():
        if told:
            yield title
            yield from (f"  {line}" for line in islice(told, SHOWN))
        if len(told) > SHOWN:
            yield f"  and {len(told) - SHOWN} more; --json has them all"


def _change(changed: Changed) -> str:
    if changed.old == changed.new:
        return f"{changed.name}: {changed.new}"
    return f"{changed.name}: {_value(changed.old)} -> {_value(changed.new)}"


def _value(value: Any) -> str:
    return "none" if value is None else str(value)


def _score(number: Changed) -> str:
    old, new = ("none" if value is None else f"{value:.3f}" for value in (number.old, number.new))
    return f"{number.name}: {old} -> {new}"


def _code(code: CodeChange) -> Iterator[str]:
    yield f"{code.path}{'' if list(code.files) in ([], [code.path]) else f': {_and(code.files)}'}"
    yield from (f"  {commit}" for commit in code.commits or [NO_COMMIT])


def _entry(changed: Changed) -> Iterator[str]:
    """Yield what is different about an entry of the catalog."""
    if changed.old is None or changed.new is None:
        yield f"{changed.name}: {'new' if changed.old is None else 'gone'}"
        return
    for key in changed.new:
        if changed.old.get(key) != changed.new[key]:
            yield f"{changed.name}: {key} {changed.old.get(key)} -> {changed.new[key]}"


def _stages(stages: Sequence[StageChange]) -> Iterator[str]:
    """Yield a line for each stage that has a story, what is suspicious first; those left as they were are counted."""
    told = [stage for stage in stages if stage.state != "unchanged"]
    for stage in sorted(told, key=lambda stage: stage.state != "unexplained"):
        because = f"; because of {'; '.join(_causes(stage.causes))}" if stage.causes else ""
        yield f"{stage.stage}: {STATES[stage.state]}{because}"
    if rest := [stage.stage for stage in stages if stage.state == "unchanged"]:
        yield f"unchanged: {_and(rest)}"


def _causes(causes: Sequence[Cause]) -> Iterator[str]:
    for kind, some in groupby(causes, key=lambda cause: cause.kind):
        if kind == "stage":
            yield from (f"the output of {c.origin or 'no stage'} ({_and(c.names)})" for c in some)
        else:
            yield " ".join([KINDS[kind], _and(name for cause in some for name in cause.names)]).strip()


def _and(names: Iterable[str]) -> str:
    return ", ".join(names)
