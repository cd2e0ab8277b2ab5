"""One stage on a node that shares nothing with the others but git and DVC's remote."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline_tasks.errors import ConfigError, DataError, TransientError
from pipeline_tasks.lineage.copies import Copies
from pipeline_tasks.lineage.digests import Digests
from pipeline_tasks.lineage.dvc_command import errors_in, run_dvc
from pipeline_tasks.lineage.files import WORK
from pipeline_tasks.lineage.graph import Graph, Stage, load_graph
from pipeline_tasks.lineage.handoff import Handoff
from pipeline_tasks.lineage.lock_file import outputs_of, parsed, read_entries
from pipeline_tasks.lineage.objects import stored_objects
from pipeline_tasks.lineage.remote import RemoteFolder, remote_folder
from pipeline_tasks.lineage.repro import Outcome, reproduce_stage
from pipeline_tasks.lineage.unfinished import kept_on_remote
from pipeline_tasks.yaml_files import read_yaml

UNFINISHED = "unfinished"
RUN_CACHE = "run_cache"
"""Folder of DVC's run-cache on the remote, stage by stage: DVC's own, of all stages and times, is moved as a whole."""
_UNCHANGED = "didn't change, skipping"
"""How DVC says that a stage need not run."""


def reproduce_on_node(root: Path, name: str, run: str) -> Outcome:
    """Run one stage of the DVC repository at `root`, and none before it, on what those handed over in `run`.

    Its inputs are fetched if it has to run, its outputs pushed, its entry handed over; what a node that died had begun
    is gone on with. Raises as reproduce_stage, ConfigError for an unknown stage, DataError where a stage before it has
    handed over nothing or raw data are not to be had, TransientError where the remote cannot be reached.
    """
    graph = load_graph(root)
    stage = _stage(graph, name)
    with remote_folder(root) as remote:
        handoff = Handoff.of(root, remote, run)
        handoff.take(stage.upstream, beside=[name])
        if not _inputs_changed(root, graph, stage) and not _would_run(root, name):
            handoff.give(name)
            return "unchanged"
        if inputs := _fetchable(root, graph, stage):  # none named would be all
            pull(root, inputs)
        work = Copies(root / WORK / stage.group / stage.key, remote.below(UNFINISHED, stage.group, stage.key))
        if found := work.fetch():
            print(f"going on with unfinished work: {found} files", flush=True)
        with kept_on_remote(work):
            outcome = _reproduced(root, stage, remote)
        handoff.give(name)
        work.tidy()
    return outcome


@contextmanager
def whole_run(root: Path, run: str) -> Iterator[None]:
    """Take over and fetch what all stages handed over in `run`; if what is done with it succeeds, forget old runs.

    Raises as reproduce_on_node.
    """
    with remote_folder(root) as remote:
        handoff = Handoff.of(root, remote, run)
        handoff.take(stage.name for stage in load_graph(root).stages)
        pull(root, [])
        yield
        handoff.forget_old()


def pull(root: Path, paths: Sequence[str]) -> None:
    """Fetch these outputs, or parts of outputs, from DVC's remote; all there are if none is named."""
    pulled = run_dvc(root, "pull", *paths)
    if pulled.returncode:
        raise TransientError(f"`dvc pull` failed: {errors_in(pulled.stderr)}; bring the remote back and try again")


def _reproduced(root: Path, stage: Stage, remote: RemoteFolder) -> Outcome:
    """Run the stage, or restore what it has made of the same inputs before; push what it made."""
    runs = Copies(_run_cache(root), remote.below(RUN_CACHE, stage.group, stage.key))
    runs.fetch()
    runs.leave_present()
    outcome = reproduce_stage(root, stage.name, "--pull")
    pushed = run_dvc(root, "push", stage.name)
    if pushed.returncode:
        told = errors_in(pushed.stderr)
        raise TransientError(f"`dvc push {stage.name}` failed: {told}; bring the remote back and try again")
    runs.copy()
    return outcome


def _run_cache(root: Path) -> Path:
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        return Path(repo.stage_cache.cache_dir)


def _stage(graph: Graph, name: str) -> Stage:
    found = next((stage for stage in graph.stages if stage.name == name), None)
    if found is None:
        raise ConfigError(f"dvc.yaml: no stage '{name}' at this revision; see `dvc stage list`")
    return found


def _would_run(root: Path, stage: str) -> bool:
    """Tell whether DVC finds a stage changed, its inputs being those of dvc.lock wherever they are."""
    told = run_dvc(root, "repro", "--dry", "--allow-missing", "--single-item", stage)
    return _UNCHANGED not in told.stdout + told.stderr


def _inputs_changed(root: Path, graph: Graph, stage: Stage) -> bool:
    """Tell whether a stage has read other data than there are now, by dvc.lock and what `dvc add` tracks.

    Whatever cannot be told counts as changed; data that are here and known to neither are left to DVC, which asks only
    for what is here: missing inputs it takes for unchanged.
    """
    entries = read_entries(root)
    if stage.name not in entries:
        return True
    read = {dep["path"]: dep.get("md5") for dep in parsed(entries[stage.name]).get("deps", [])}
    known = {path: md5 for before in stage.upstream for path, md5 in outputs_of(entries[before]).items()}
    known |= dict(filter(None, (_tracked(root, path) for path in _raw(graph, stage))))
    with stored_objects(root, cache=True) as objects:
        digests = Digests({PurePosixPath(path): md5 for path, md5 in known.items()}, objects)
        try:
            now = {path: digests.of(PurePosixPath(path)) for path in stage.inputs}
        except DataError:  # a list of files that is not to be had
            return True
    return any(read.get(path) != md5 and not (md5 is None and (root / path).exists()) for path, md5 in now.items())


def _fetchable(root: Path, graph: Graph, stage: Stage) -> list[str]:
    """Return what a stage reads that DVC can fetch, each output in those parts alone that it reads.

    Raises DataError for raw data that are neither here nor tracked by DVC.
    """
    raw = _raw(graph, stage)
    tracked = [path for path in raw if _tracked(root, path)]
    lacking = [path for path in raw if path not in tracked and not (root / path).exists()]
    if lacking:
        raise DataError(
            f"{lacking[0]}: raw data of '{stage.name}', not on this node; name an absolute path in catalog.yaml and "
            f"mount it, or let DVC carry them: `dvc add {lacking[0]}`, commit what that writes, `dvc push`"
        )
    made = graph.sources(path for path in stage.inputs if path not in raw)
    return [*tracked, *(part for output, parts in made.items() for part in parts or (output,))]


def _raw(graph: Graph, stage: Stage) -> list[str]:
    """Return the data that a stage reads and no stage makes."""
    made = {output for each in graph.stages for output in each.outputs}
    return [path for path in stage.inputs if made.isdisjoint(graph.sources([path]))]


def _tracked(root: Path, path: str) -> tuple[str, str] | None:
    """Return path and MD5 of the data that `dvc add` tracks which are at a path or hold it; None if there are none."""
    for place in (PurePosixPath(path), *PurePosixPath(path).parents):
        file = root / f"{place}.dvc"
        if place.name and file.is_file():
            tracked: Any = read_yaml(file, "restore it from git")
            return str(place), str(tracked["outs"][0]["md5"])
    return None
