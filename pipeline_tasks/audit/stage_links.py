"""Every stage of a version's lock: whether what it read is what stages before it made and git keeps."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline_tasks.audit.chain import Link
from pipeline_tasks.errors import ConfigError, DataError
from pipeline_tasks.lineage.digests import Digests
from pipeline_tasks.lineage.lock import Lock, md5_of
from pipeline_tasks.lineage.objects import Objects
from pipeline_tasks.yaml_files import read_yaml

REMEDY = "the stage ran with what is no longer there: commit it before a refresh, then refresh and publish again"


@dataclass(frozen=True)
class Ground:
    """What stages may have read: the outputs of others, and the files that git keeps, unpacked in `tree`."""

    lock: Lock
    objects: Objects
    tree: Path

    @cached_property
    def outputs(self) -> dict[PurePosixPath, str]:
        """The digests of all outputs by path."""
        return {PurePosixPath(o.path.as_posix()): o.md5 for stage in self.lock.stages for o in self.lock.outputs(stage)}

    @cached_property
    def params(self) -> Any:
        """The parameters that git keeps."""
        return read_yaml(self.tree / "params.yaml", "restore it from git")

    def digest(self, path: PurePosixPath) -> str | None:
        """Return DVC's digest of what is at a path by the lock and git; None for what neither has: raw samples.

        Raises DataError if the list of files in an output cannot be had.
        """
        found = Digests(self.outputs, self.objects).of(path)
        return md5_of(self.tree / path) if found is None else found


def stage_links(ground: Ground, raw: Mapping[str, str]) -> Iterator[Link]:
    """Yield a link for each stage; `raw` are the paths of raw samples, by product, which are looked at elsewhere."""
    for stage, entry in ground.lock.stages.items():
        yield _stage(ground, stage, entry, set(raw.values()))


def _stage(ground: Ground, stage: str, entry: Mapping[str, Any], raw: set[str]) -> Link:
    name, inputs = f"stage {stage}", [dep for dep in entry.get("deps", []) if dep["path"] not in raw]
    try:
        faults = [fault for dep in inputs if (fault := _input(ground, dep))]
        faults += _parameters(ground, entry.get("params", {}))
    except DataError as error:
        return Link(name, "unchecked", f"its inputs cannot be compared: {error}", "see the objects of its inputs")
    except ConfigError as error:
        return Link(name, "broken", f"its parameters are not in git: {error}", REMEDY)
    faults += [
        f"{output.path} in git is not what the stage made"
        for output in ground.lock.outputs(stage)
        if not output.cached and md5_of(ground.tree / output.path) != output.md5
    ]
    if faults:
        return Link(name, "broken", "; ".join(faults), REMEDY)
    return Link(name, "ok", f"{_counted(ground, inputs)}: as the stages before it made them and git keeps them")


def _input(ground: Ground, dep: Mapping[str, Any]) -> str | None:
    """Return what is wrong with an input of a stage."""
    digest = ground.digest(PurePosixPath(dep["path"]))
    if digest == dep.get("md5"):
        return None
    if digest is None:
        return f"{dep['path']}: neither git nor another stage's output has it"
    return f"{dep['path']}: it read {dep.get('md5')}, and there is {digest}"


def _parameters(ground: Ground, files: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for file, values in files.items():
        if file != "params.yaml":
            yield f"{file}: it read parameters of this file, which an audit does not know"
            continue
        for key, value in values.items():
            if not _equal(_value(ground.params, key), value):
                yield f"params.yaml: {key} in git is not what it read"


def _value(params: Any, key: str) -> Any:
    for part in key.split("."):
        params = params.get(part) if isinstance(params, dict) else None
    return params


def _equal(ours: Any, theirs: Any) -> bool:
    """Compare values; YAML's two versions differ on whether 1e-5 is a number or text."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(_equal(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_equal, ours, theirs))
    if isinstance(ours, str) != isinstance(theirs, str):
        try:
            return float(ours) == float(theirs)
        except (TypeError, ValueError):
            return False
    return bool(ours == theirs)


def _counted(ground: Ground, inputs: list[Mapping[str, Any]]) -> str:
    kinds: dict[bool, int] = defaultdict(int)
    for dep in inputs:
        kinds[(ground.tree / dep["path"]).exists()] += 1
    return f"{kinds[False]} inputs, {kinds[True]} code files and folders, its parameters"
