"""dvc.yaml as a neutral graph of stages, from which every orchestrator derives its own.

Resolving the graph with DVC takes about a second, so it is cached under .work/, keyed on the content of every file it
is made from. A scheduler that parses its DAG files every few seconds then reads one JSON file and never imports DVC.
Nothing else is written: where the repository is a read-only checkout, the cache lies among this user's temporary files.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline_tasks.errors import ConfigError, StorageError
from pipeline_tasks.lineage.files import WORK, replace_text
from pipeline_tasks.lineage.lock_file import LOADER

CACHE = WORK / "graph.json"
CODE = "pipeline_tasks/"
"""Where the code lies: what a stage depends on there is no data."""


@dataclass(frozen=True)
class Stage:
    """One stage of dvc.yaml with its `foreach` resolved."""

    name: str
    """As DVC addresses it: 'generate@plate-pit'."""
    description: str
    command: str
    upstream: tuple[str, ...]
    """Names of the stages whose outputs it reads, sorted."""
    inputs: tuple[str, ...]
    """Paths of the data it reads, as dvc.yaml has them: an output of another stage, files in one, a folder of several,
    or raw data."""
    outputs: tuple[str, ...]
    """Paths of the data it makes."""
    gpu: bool
    cpus: int
    memory: str
    disk: str
    """Ephemeral storage of a task that runs elsewhere."""
    timeout_minutes: int

    @property
    def group(self) -> str:
        """The stage's key in dvc.yaml: 'generate'."""
        return self.name.partition("@")[0]

    @property
    def key(self) -> str:
        """What `foreach` made it for: 'plate-pit'; empty for a stage that is not fanned out."""
        return self.name.partition("@")[2]


@dataclass(frozen=True)
class Graph:
    """Every stage of dvc.yaml, in the order of the file."""

    digest: str
    """SHA-256 (hex) of the files the graph was made from."""
    stages: tuple[Stage, ...]

    @property
    def leaves(self) -> tuple[Stage, ...]:
        """The stages that no other stage waits for."""
        inner = {name for stage in self.stages for name in stage.upstream}
        return tuple(stage for stage in self.stages if stage.name not in inner)

    def sources(self, paths: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return what `paths` are made of, by path: whole outputs of stages, and what no stage makes.

        The value names those of `paths` that are a part of that output; it is empty where all of it is meant.
        """
        found: dict[str, set[str]] = {}
        for path in paths:
            outputs = [made for stage in self.stages for made in stage.outputs if _overlap(path, made)]
            for source in outputs or [path]:
                found.setdefault(source, set()).add(path)
        return {source: _parts(source, meant) for source, meant in found.items()}


def _overlap(path: str, other: str) -> bool:
    return f"{path}/".startswith(f"{other}/") or f"{other}/".startswith(f"{path}/")


def _parts(source: str, meant: set[str]) -> tuple[str, ...]:
    """Return those of the paths `meant` that lie in `source`, none if one of them is or holds all of it."""
    inside = {path for path in meant if path.startswith(f"{source}/")}
    return tuple(sorted(inside)) if inside == meant else ()


def load_graph(root: Path) -> Graph:
    """Return the stage graph of the DVC repository at `root`, from the cache if no file it was made from has changed.

    Raises ConfigError if dvc.yaml cannot be read or resolved, or if a stage lacks its `meta`.
    """
    digest = graph_digest(root)
    place = _cache_file(root, digest)
    cached = _read_cache(place)
    if cached is not None and cached.digest == digest:
        return cached
    graph = Graph(digest, _resolve(root))
    with suppress(StorageError):  # without a cache it is resolved each time
        replace_text(place, json.dumps(asdict(graph), indent=1))
    return graph


def graph_digest(root: Path) -> str:
    """Return the SHA-256 (hex) of all that decides the graph: dvc.yaml, params.yaml and the files of its `vars`."""
    digest = hashlib.sha256()
    for name in _deciding_files(root):
        content = (root / name).read_bytes() if (root / name).is_file() else b""
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _deciding_files(root: Path) -> tuple[str, ...]:
    return ("dvc.yaml", "params.yaml", *_vars_files(root / "dvc.yaml"))


def _vars_files(path: Path) -> list[str]:
    try:
        pipeline: dict[str, Any] = yaml.load(path.read_text(), Loader=LOADER)  # noqa: S506 - a SafeLoader
        blocks = [pipeline, *pipeline["stages"].values()]
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: missing; run in the repository's root, or name it in DEFECTLINE_ROOT") from error
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: not a DVC pipeline: {error}") from error
    entries = [entry for block in blocks for entry in block.get("vars", [])]
    return [entry.partition(":")[0] for entry in entries if isinstance(entry, str)]


def _cache_file(root: Path, digest: str) -> Path:
    """Return where the graph is kept: in the repository or, if nothing can be written there, in a folder of our own."""
    folder = (root / CACHE).parent
    if os.access(folder if folder.exists() else root, os.W_OK):
        return root / CACHE
    return _own_folder() / f"graph-{digest}.json"


def _own_folder() -> Path:
    """Return the folder of this user's temporary files."""
    return Path(tempfile.gettempdir()) / f"defectline-{os.getuid()}"


def _read_cache(path: Path) -> Graph | None:
    try:
        if path.stat().st_uid != os.getuid() and path.parent == _own_folder():
            return None  # what another user has put there is not believed
        content = json.loads(path.read_text())
        return Graph(content["digest"], tuple(_restored(**stage) for stage in content["stages"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _restored(upstream: list[str], inputs: list[str], outputs: list[str], **rest: Any) -> Stage:
    """Return a stage from the cache. Raises TypeError if another release wrote it, with other fields."""
    return Stage(upstream=tuple(upstream), inputs=tuple(inputs), outputs=tuple(outputs), **rest)


def _resolve(root: Path) -> tuple[Stage, ...]:
    """Resolve dvc.yaml in a copy of what decides it: DVC would write into the repository and look through its data."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    with tempfile.TemporaryDirectory(prefix="defectline-") as folder:
        try:
            _copy(root, Path(folder), *_deciding_files(root), ".dvc/config")
            with Repo(folder, config={"core": {"no_scm": True, "site_cache_dir": folder}}) as repo:
                edges = repo.index.graph
                return tuple(_neutral(stage, [up.name for up in edges.successors(stage)]) for stage in edges)
        except DvcException as error:
            reason = str(error).replace(f"{os.path.relpath(folder)}{os.sep}", "")
            older = "where catalog.yaml lacks a key, write it again with `defectline catalog FOLDER`"
            named = f"{root / 'dvc.yaml'}: DVC cannot resolve it"
            raise ConfigError(f"{named}: {reason}; {older}; see `dvc status`") from error


def _copy(source: Path, target: Path, *names: str) -> None:
    """Copy those of the files that are there."""
    for name in names:
        if (source / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target / name)


def _neutral(stage: Any, upstream: list[str]) -> Stage:
    """Return DVC's stage as ours. DVC's edges point from a stage to those it depends on."""
    try:
        meta = {key: stage.meta[key] for key in ("gpu", "cpus", "memory", "disk", "timeout_minutes")}
    except (KeyError, TypeError) as error:
        raise ConfigError(
            f"dvc.yaml: stage '{stage.name}': meta is {stage.meta}; it needs gpu, cpus, memory, disk, timeout_minutes"
        ) from error
    return Stage(
        name=stage.name,
        description=stage.desc or "",
        command=stage.cmd if isinstance(stage.cmd, str) else "\n".join(stage.cmd),
        upstream=tuple(sorted(upstream)),
        inputs=tuple(path for path in _paths(stage.deps) if not path.startswith(CODE)),
        outputs=tuple(_paths(stage.outs)),
        **meta,
    )


def _paths(items: Iterable[Any]) -> list[str]:
    """Return the paths of DVC's dependencies or outputs; parameters, which have keys in their file, are none."""
    return [str(item.def_path) for item in items if not hasattr(item, "params")]
