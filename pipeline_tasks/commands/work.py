"""Unfinished work of a stage, kept so that a killed run resumes; keyed by everything that determines the result."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from pipeline_tasks.provenance import PACKAGE, MadeBy, code_revision
from pipeline_tasks.section import Section
from pipeline_tasks.storage import content_digest

WORK = Path(".work")
KEY_DIGITS = 16
"""Digits of a run's id that name its folder."""


def this_run(inputs: Sequence[Path], params: Sequence[Section | int | str]) -> MadeBy:
    """Return this code and the id of its run on `inputs` with `params`: a SHA-256 of code, inputs and parameters.

    Inputs count by their content, not by where they are. Raises DataError if one is missing.
    """
    code = code_revision(PACKAGE)
    values = json.dumps([p.model_dump(mode="json") if isinstance(p, Section) else p for p in params], sort_keys=True)
    return MadeBy(code, hashlib.sha256(f"{code}{content_digest(*inputs)}{values}".encode()).hexdigest())


def folder_of(stage: str, item: str, run_id: str) -> Path:
    """Return the folder for a run's unfinished work on `item`."""
    return WORK / stage / item / run_id[:KEY_DIGITS]


def work_folder(stage: str, item: str, inputs: Sequence[Path], params: Sequence[Section | int | str]) -> Path:
    """Return the folder for unfinished work on `item`; other inputs, parameters or code get another folder."""
    return folder_of(stage, item, this_run(inputs, params).run_id)
