"""Runs commands as tasks do, and prints what became of each as one line of JSON."""

import json
import sys
from pathlib import Path

sys.path.append(sys.argv[1])
from stage_tasks import DefectlineOperator

COMMANDS = {
    "done": "sh -c 'echo first; echo last; pwd > where; command -v defectline >> where'",
    "refused": "sh -c 'echo error: bad input >&2; exit 1'",
    "crashed": "sh -c 'exit 70'",
    "killed": "sh -c 'kill -KILL $$'",
    "secret": "sh -c 'echo error: no answer from http://me:hunter2@mlflow:5000/ >&2; exit 1'",
}


def run(name: str, command: str, **options: bool) -> str:
    """Return the command's result, or the name and the text of the exception."""
    try:
        return DefectlineOperator(task_id=name, command=command, root=Path.cwd(), **options).execute({})
    except Exception as error:
        return f"{type(error).__name__}: {error}"


became = {name: run(name, command) for name, command in COMMANDS.items()}
print(json.dumps({**became, "may pass": run("patient", COMMANDS["refused"], retry_refusals=True)}))
