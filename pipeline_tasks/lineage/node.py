"""One stage on a node that shares nothing with the others but git and DVC's remote."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline_tasks.errors import ConfigError, DataError, TransientError
from pipeline_tasks.lineage.dvc_command import errors_in, run_dvc
from pipeline_tasks.lineage.graph import Graph, Stage, load_graph
from pipeline_tasks.lineage.handoff import Handoff, read_lock_file
from pipeline_tasks.lineage.remote import remote_folder
from pipeline_tasks.lineage.repro import Outcome, reproduce_stage
from pipeline_tasks.lineage.unfinished import Unfinished, kept_on_remote

WORK = Path(".work")
UNFINISHED = "unfinished"
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
        changed = handoff.take(stage.upstream)
        outcome: Outcome = "unchanged"
        if changed or _raw_changed(root, graph, stage) or _would_run(root, name):
            if inputs := _inputs(root, graph, stage):  # none named would be all
                pull(root, inputs)
            work = Unfinished(root / WORK / stage.group / stage.key, remote.below(UNFINISHED, stage.group, stage.key))
            if found := work.fetch():
                print(f"going on with unfinished work: {found} files", flush=True)
            with kept_on_remote(work):
                outcome = reproduce_stage(root, name, "--pull")
            _push(root, name)
        handoff.give(name)
    return outcome


@contextmanager
def whole_run(root: Path, run: str) -> Iterator[None]:
    """Take over and fetch what all stages handed over in `run`; forget it when what is done with it has succeeded.

    Raises as reproduce_on_node.
    """
    with remote_folder(root) as remote:
        handoff = Handoff.of(root, remote, run)
        handoff.take(stage.name for stage in load_graph(root).stages)
        pull(root, [])
        yield
        handoff.forget()


def pull(root: Path, paths: Sequence[str]) -> None:
    """Fetch these outputs, or parts of outputs, from DVC's remote; all there are if none is named."""
    pulled = run_dvc(root, "pull", *paths)
    if pulled.returncode:
        raise TransientError(f"`dvc pull` failed: {errors_in(pulled.stderr)}; bring the remote back and try again")


def _push(root: Path, stage: str) -> None:
    pushed = run_dvc(root, "push", "--run-cache", stage)
    if pushed.returncode:
        raise TransientError(f"`dvc push {stage}` failed: {errors_in(pushed.stderr)}; bring the remote back, try again")


def _stage(graph: Graph, name: str) -> Stage:
    found = next((stage for stage in graph.stages if stage.name == name), None)
    if found is None:
        raise ConfigError(f"dvc.yaml: no stage '{name}' at this revision; see `dvc stage list`")
    return found


def _would_run(root: Path, stage: str) -> bool:
    """Tell whether DVC finds a stage changed, its inputs being those of dvc.lock wherever they are."""
    told = run_dvc(root, "repro", "--dry", "--allow-missing", "--single-item", stage)
    return _UNCHANGED not in told.stdout + told.stderr


def _raw_changed(root: Path, graph: Graph, stage: Stage) -> bool:
    """Tell whether raw data that DVC tracks and that are not here are others than the stage has read."""
    entry = read_lock_file(root)["stages"].get(stage.name, {})
    read = {dep["path"]: dep["md5"] for dep in entry.get("deps", [])}
    return any(read.get(path) != _tracked(root, path) for path in _raw(graph, stage) if not (root / path).exists())


def _inputs(root: Path, graph: Graph, stage: Stage) -> list[str]:
    """Return what a stage reads that DVC can fetch, each output in those parts alone that it reads.

    Raises DataError for raw data that are neither here nor tracked by DVC.
    """
    raw = _raw(graph, stage)
    lacking = [path for path in raw if not (root / path).exists() and _tracked(root, path) is None]
    if lacking:
        raise DataError(
            f"{lacking[0]}: raw data of '{stage.name}', not on this node; name an absolute path in catalog.yaml and "
            f"mount it, or let DVC carry them: `dvc add {lacking[0]}`, commit what that writes, `dvc push`"
        )
    made = graph.sources(path for path in stage.inputs if path not in raw)
    tracked = [path for path in raw if _tracked(root, path) is not None]
    return [*tracked, *(part for output, parts in made.items() for part in parts or (output,))]


def _raw(graph: Graph, stage: Stage) -> list[str]:
    """Return the data that a stage reads and no stage makes."""
    made = {output for each in graph.stages for output in each.outputs}
    return [path for path in stage.inputs if not _made(graph.sources([path]), made)]


def _made(sources: Iterable[str], made: set[str]) -> bool:
    return any(source in made for source in sources)


def _tracked(root: Path, path: str) -> str | None:
    """Return DVC's MD5 of raw data that `dvc add` tracks; None if it does not."""
    from pipeline_tasks.yaml_files import read_yaml

    file = root / f"{path}.dvc"
    if not file.is_file():
        return None
    tracked: Any = read_yaml(file, "restore it from git")
    return str(tracked["outs"][0]["md5"])
