"""Unfinished work of a stage, kept so that a killed run resumes; keyed by everything that determines the result."""

import hashlib
import json
from pathlib import Path

from pipeline_tasks.section import Section
from pipeline_tasks.storage import content_digest

WORK = Path(".work")


def work_folder(stage: str, item: str, inputs: list[Path], params: list[Section | int]) -> Path:
    """Return the folder for unfinished work on `item`; other inputs, parameters or code get another folder."""
    code = content_digest(*sorted(Path(__file__).parent.parent.rglob("*.py")))
    values = json.dumps([p.model_dump(mode="json") if isinstance(p, Section) else p for p in params], sort_keys=True)
    key = hashlib.sha256(f"{code}{content_digest(*inputs)}{values}".encode()).hexdigest()[:16]
    return WORK / stage / item / key
