"""Run one stage through DVC beside its siblings in the same workspace, and tell what DVC did about it."""

import os
import signal
import subprocess
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from pipeline_tasks.errors import DefectlineError, StorageError, TransientError, find_refusal
from pipeline_tasks.lineage.dvc_command import start_dvc

Outcome = Literal["ran", "restored", "unchanged"]
"""What became of a stage: its command ran, its outputs came from the run-cache, or nothing it needs had changed."""

_ANNOUNCED: dict[str, Outcome] = {
    "Running stage '{}':": "ran",
    "Stage '{}' is cached - skipping run, checking out outputs": "restored",
    "Pulling data for stage: '{}'": "restored",
    "Stage '{}' didn't change, skipping": "unchanged",
}
_REFUSAL = "error: "
"""How `defectline` begins the report of an error that it explains."""
_FAILURE = "ERROR: "
"""How DVC begins the report of an error, a stage's or its own."""
_UNSAVED = "failed to transfer"
"""What DVC says of an output that did not get into its cache; it ends with status 0 all the same."""
_EXPLAINED = {f", exited with {kind.status}": kind for kind in (DefectlineError, TransientError)}
"""How DVC ends the report of a stage that ended as it does after an error that it explains. One of several processes
crashes, whatever one of them said: torch's launcher does not tell with which status that one ended."""
LINES_KEPT = 200
"""Last lines of a stage in which its reason is looked for."""
_BUSY = "is busy, it is being blocked by:"
"""What DVC says of a file that another process is about to write; the next line names the process."""


class StageCrashed(Exception):  # noqa: N818 - not an error of this project: nobody raised it on purpose
    """A stage ended without explaining why: killed, out of memory, a fault in the program. Another try may succeed."""


def reproduce_stage(root: Path, stage: str, *options: str) -> Outcome:
    """Run one stage of the DVC repository at `root`, and none before it, passing all its output on to stdout.

    options: further ones of `dvc repro`. Raises DefectlineError with the stage's own words if it refused to go on,
    TransientError if what stopped it may pass, StageCrashed if it ended in another way.
    """
    announced = {text.format(stage): outcome for text, outcome in _ANNOUNCED.items()}
    outcome: Outcome | None = None
    told: deque[str] = deque(maxlen=LINES_KEPT)
    with start_dvc(root, "repro", *options, "--single-item", stage) as dvc, stopped_together(dvc):
        for line in dvc.stdout or ():
            print(line, end="", flush=True)
            outcome = announced.get(line.strip(), outcome)
            told.append(line.strip())
    if dvc.returncode == 0 and outcome and not any(line.startswith(_FAILURE + _UNSAVED) for line in told):
        return outcome
    raise failure_of(stage, list(told), dvc.returncode)


def failure_of(stage: str, told: list[str], status: int) -> Exception:
    """Return the error that the last lines, the exit status of DVC and the stage that it ran tell of."""
    failure = _last(told, _FAILURE) or next(filter(None, reversed(told)), "it said nothing")
    refusal = _last(told, _REFUSAL)
    kind = next((kind for end, kind in _EXPLAINED.items() if failure.endswith(end)), None)
    if refusal and kind:
        return kind(f"stage '{stage}': {refusal}")
    if refused := find_refusal(failure):
        return StorageError(f"stage '{stage}': {failure}; {refused[1]}")
    if failure.endswith(_BUSY):
        return TransientError(f"stage '{stage}': {failure} {told[told.index(_FAILURE + failure) + 1]}")
    said = f"; a process of it said: {refusal}" if refusal else ""
    return StageCrashed(f"stage '{stage}': dvc ended with status {status}: {failure}{said}")


def _last(told: list[str], begin: str) -> str | None:
    return next((line.removeprefix(begin) for line in reversed(told) if line.startswith(begin)), None)


@contextmanager
def stopped_together(dvc: "subprocess.Popen[str]") -> Iterator[None]:
    """Stop DVC and the stage's command, which have a process group of their own, when this process is stopped."""
    try:
        yield
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(dvc.pid, signal.SIGTERM)
        raise
