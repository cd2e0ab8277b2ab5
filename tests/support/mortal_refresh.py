"""A refresh in processes that die, or are refused something, at named points.

One process imports every library once; each refresh is forked from it: DVC, and below it a process per stage, in which
the real command line runs. A stage that is told to kills itself with SIGKILL, alone or DVC with it.
"""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

PUBLISH = "publish"
LOG = ".dvc/tmp/refresh.log"
PRELOADED = [__name__, "torch._dynamo", "diffusers.training_utils", "great_expectations.expectations", "mlflow.data"]
PRELOADED += ["dvc.repo", "dvc.commands.repro", "pipeline_tasks.backends.inpainting_trainer", "monai.networks.nets"]


@dataclass(frozen=True)
class Fault:
    """What befalls a stage at the `call`-th call of a function in its process, before it or after it."""

    stage: str
    """As in dvc.yaml, or PUBLISH."""
    name: str
    function: str
    call: int = 1
    after: bool = False
    everything: bool = False
    """Whether DVC is killed with the stage, as when a machine loses its power."""
    refusal: Exception | None = None
    """What the function raises; without it the stage is killed."""


def refresh(root: Path, target: str | None = None, fault: Fault | None = None) -> int:
    """Refresh the project at `root`, or its stages up to `target` only, and return the exit status; -9 if killed."""
    process = start_refresh(root, target, fault)
    process.join()
    return process.exitcode or 0


def start_refresh(root: Path, target: str | None = None, fault: Fault | None = None, log: str = LOG) -> BaseProcess:
    """Start what `refresh` does."""
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=_refresh, args=(root, target, fault, log, dict(os.environ)))
    process.start()
    return process


def _refresh(root: Path, target: str | None, fault: Fault | None, log: str, environment: dict[str, str]) -> None:
    os.setsid()
    os.chdir(root)
    os.environ.clear()
    os.environ.update(environment)
    (root / log).parent.mkdir(exist_ok=True)
    output = os.open(root / log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    from dvc.cli import main as dvc
    from dvc.stage.exceptions import StageCmdFailedError

    def run_stage(_: str, command: str, env: dict[str, str], **__: Any) -> None:
        if status := _fork(lambda: _command(shlex.split(command), env["DVC_STAGE"], fault)):
            raise StageCmdFailedError(command, status)

    import_module("dvc.stage.run")._run = run_stage
    status = dvc(["--wait-for-lock", "repro", *([target] if target else [])])
    if not status and not target:
        status = _fork(lambda: _command(["defectline", PUBLISH], PUBLISH, fault))
    sys.exit(status)


def _fork(body: Callable[[], None]) -> int:
    """Run `body` in a child process to its end and return its exit status."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status: Any = 70
    try:
        body()
        status = 0
    except SystemExit as end:
        status = end.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _command(arguments: list[str], stage: str, fault: Fault | None) -> None:
    from pipeline_tasks.__main__ import main

    if stage == PUBLISH:
        import_module("pipeline_tasks.lineage.publish").run_dvc = _run_dvc
    if fault and fault.stage == stage:
        _set(fault)
    sys.argv = arguments
    main()


def _run_dvc(_: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Stand in for `run_dvc`, without importing DVC again."""
    with TemporaryFile("w+") as out, TemporaryFile("w+") as err:

        def body() -> None:
            from dvc.cli import main

            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            sys.exit(main(["--wait-for-lock", *arguments]))

        status = _fork(body)
        told = [file.read() for file in (out, err) if not file.seek(0)]
    return subprocess.CompletedProcess(arguments, status, *told)


def _set(fault: Fault) -> None:
    """Let the function of `fault` do as that says."""
    owner, name = _find(fault.function)
    original, calls = getattr(owner, name), iter(range(1, fault.call))

    def mortal(*args: Any, **kwargs: Any) -> Any:
        if next(calls, None) is not None:
            return original(*args, **kwargs)
        if fault.after:
            original(*args, **kwargs)
        if fault.refusal:
            raise fault.refusal
        os.kill(0 if fault.everything else os.getpid(), signal.SIGKILL)
        raise AssertionError("killed")

    setattr(owner, name, mortal)


def _find(function: str) -> tuple[Any, str]:
    """Return what holds a function, a module or a class, and the function's name in it."""
    owner, name = function.rsplit(".", 1)
    try:
        return import_module(owner), name
    except ModuleNotFoundError:
        module, kind = owner.rsplit(".", 1)
        return getattr(import_module(module), kind), name
