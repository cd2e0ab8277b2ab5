"""Run one stage through DVC beside its siblings in the same workspace, and tell what DVC did about it."""

from pathlib import Path
from typing import Literal

from pipeline_tasks.errors import DefectlineError
from pipeline_tasks.lineage.dvc_command import start_dvc

Outcome = Literal["ran", "restored", "unchanged"]
"""What became of a stage: its command ran, its outputs came from the run-cache, or nothing it needs had changed."""

_ANNOUNCED: dict[str, Outcome] = {
    "Running stage '{}':": "ran",
    "Stage '{}' is cached - skipping run, checking out outputs": "restored",
    "Stage '{}' didn't change, skipping": "unchanged",
}
_REFUSAL = "error: "
"""How `defectline` begins the report of an error that it explains."""


class StageCrashed(Exception):  # noqa: N818 - not an error of this project: nobody raised it on purpose
    """A stage ended without explaining why: killed, out of memory, a fault in the program. Another try may succeed."""


def reproduce_stage(root: Path, stage: str) -> Outcome:
    """Run one stage of the DVC repository at `root`, and none before it, passing all its output on to stdout.

    Raises DefectlineError with the stage's own words if it refused to go on, StageCrashed if it ended in another way.
    """
    announced = {text.format(stage): outcome for text, outcome in _ANNOUNCED.items()}
    outcome, refusal, last = None, None, ""
    with start_dvc(root, "repro", "--single-item", stage) as dvc:
        for line in dvc.stdout or ():
            print(line, end="", flush=True)
            last = line.strip() or last
            outcome = announced.get(last, outcome)
            refusal = last.removeprefix(_REFUSAL) if last.startswith(_REFUSAL) else refusal
    if dvc.returncode == 0 and outcome:
        return outcome
    if refusal:
        raise DefectlineError(f"stage '{stage}': {refusal}")
    raise StageCrashed(f"stage '{stage}': dvc ended with status {dvc.returncode}: {last}")
