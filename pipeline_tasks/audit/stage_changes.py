"""Why each stage made its output again between two versions, as their locks tell."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from pathlib import PurePosixPath
from typing import Any, Literal

from pipeline_tasks.lineage.lock import Lock

Kind = Literal["raw samples", "stored split", "stage", "parameters", "code", "command"]
State = Literal["new", "gone", "unchanged", "made again", "made again alike", "unexplained"]
"""made again: another output. made again alike: the same output, although what it reads has changed. unexplained:
another output, although nothing that it reads has changed."""

Makers = dict[tuple[bool, PurePosixPath], list[str]]


@dataclass(frozen=True)
class Cause:
    """An input of a stage that has changed. names: paths, keys of parameters, or outputs of the stage `origin`."""

    kind: Kind
    names: tuple[str, ...]
    origin: str = ""


@dataclass(frozen=True)
class StageChange:
    """What became of a stage, and because of what."""

    stage: str
    state: State
    causes: tuple[Cause, ...] = ()


@dataclass(frozen=True)
class Locks:
    """The locks of two versions. raw: the paths of raw samples in either."""

    old: Lock
    new: Lock
    raw: frozenset[str]

    @property
    def stages(self) -> list[str]:
        """The stages of either, each after those whose output it reads; those that are gone last."""
        return list(dict.fromkeys([*_in_order(self.new), *_in_order(self.old)]))

    def made_differently(self, stage: str) -> list[str]:
        """Return the outputs of a stage that DVC keeps and that differ."""
        return _differing(*(_outputs(lock, stage, cached=True) for lock in (self.old, self.new)))

    def inputs(self, stage: str) -> list[str]:
        """Return the paths that a stage reads in either version and that differ."""
        return _differing(*(_inputs(lock, stage) for lock in (self.old, self.new)))

    def origins(self, path: str) -> list[str]:
        """Return the stages that make a path, what it lies in, or what lies in it."""
        return list(dict.fromkeys([*_origins(self._makers[0], path), *_origins(self._makers[1], path)]))

    @cached_property
    def _makers(self) -> tuple[Makers, Makers]:
        return _makers(self.new), _makers(self.old)


def _makers(lock: Lock) -> Makers:
    """Return the stages that make each path: an output's own under True, those of all in a folder under False."""
    found: Makers = defaultdict(list)
    for stage in lock.stages:
        for output in lock.outputs(stage):
            path = PurePosixPath(output.path)
            found[True, path].append(stage)
            for parent in path.parents:
                found[False, parent].append(stage)
    return found


def _origins(makers: Makers, path: str) -> Iterator[str]:
    place = PurePosixPath(path)
    for output in (place, *place.parents):
        yield from makers.get((True, output), ())
    yield from makers.get((False, place), ())


def _in_order(lock: Lock) -> Iterable[str]:
    makers, before = _makers(lock), {}
    for stage in lock.stages:
        before[stage] = [made for path in _inputs(lock, stage) for made in _origins(makers, path)]
    return TopologicalSorter(before).static_order()


def stage_changes(locks: Locks) -> Iterator[StageChange]:
    """Yield what became of each stage."""
    for stage in locks.stages:
        if stage not in locks.old.stages:
            yield StageChange(stage, "new")
        elif stage not in locks.new.stages:
            yield StageChange(stage, "gone")
        else:
            causes = tuple(_causes(locks, stage))
            yield StageChange(stage, _state(bool(causes), bool(locks.made_differently(stage))), causes)


def _state(is_caused: bool, differs: bool) -> State:
    if is_caused:
        return "made again" if differs else "made again alike"
    return "unexplained" if differs else "unchanged"


def _causes(locks: Locks, stage: str) -> Iterator[Cause]:
    changed = locks.inputs(stage)
    if raw := tuple(path for path in changed if path in locks.raw):
        yield Cause("raw samples", raw)
    if split := tuple(_stored_split(locks, stage)):
        yield Cause("stored split", split)
    made = {path: locks.origins(path) for path in changed if path not in locks.raw}
    yield from _from_stages(locks, {path: origins for path, origins in made.items() if origins})
    if keys := tuple(_differing(parameters(locks.old, stage), parameters(locks.new, stage))):
        yield Cause("parameters", keys)
    if code := tuple(path for path, origins in made.items() if not origins):
        yield Cause("code", code)
    if locks.old.stages[stage].get("cmd") != locks.new.stages[stage].get("cmd"):
        yield Cause("command", ())


def _stored_split(locks: Locks, stage: str) -> list[str]:
    """Return what git keeps of a stage's output and differs: the stage has read it before it completed it."""
    return _differing(*(_outputs(lock, stage, cached=False) for lock in (locks.old, locks.new)))


def _from_stages(locks: Locks, made: Mapping[str, list[str]]) -> Iterator[Cause]:
    """Yield the outputs of earlier stages among the inputs that changed; by itself one that no stage made anew."""
    outputs: dict[str, list[str]] = {}
    for path, origins in made.items():
        anew = [(stage, out) for stage in origins for out in locks.made_differently(stage) if _meet(path, out)]
        for stage, out in anew or [("", path)]:
            outputs.setdefault(stage, []).append(out)
    for stage, outs in outputs.items():
        yield Cause("stage", tuple(dict.fromkeys(outs)), stage)


def parameters(lock: Lock, stage: str) -> dict[str, Any]:
    """Return the parameters that a stage has read, by their dotted keys."""
    files = lock.stages.get(stage, {}).get("params", {})
    return {key: value for values in files.values() for key, value in _leaves(values, "")}


def _leaves(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _inputs(lock: Lock, stage: str) -> dict[str, str]:
    return {found["path"]: str(found.get("md5")) for found in lock.stages.get(stage, {}).get("deps", [])}


def _outputs(lock: Lock, stage: str, cached: bool) -> dict[str, str]:
    return {out.path.as_posix(): out.md5 for out in lock.outputs(stage) if out.cached == cached}


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [name for name in sorted({*old, *new}) if name not in old or name not in new or old[name] != new[name]]


def _meet(one: str, other: str) -> bool:
    """Tell whether one path is the other, or lies in it."""
    first, second = PurePosixPath(one), PurePosixPath(other)
    return first.is_relative_to(second) or second.is_relative_to(first)
