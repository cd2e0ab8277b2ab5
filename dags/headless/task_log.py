"""What the commands of the tasks printed, read from Airflow's logs: JSON lines, one file per attempt."""

import json
from pathlib import Path

_READ_BYTES = 64 * 1024
_COMMAND = "SubprocessHook"
_FRAME = ("Tmp dir root location: ", "Running command: ", "Output:", "Command exited with return code ")
"""What Airflow itself logs around a command's output."""


def attempt_log(logs: Path, dag: str, run: str, task: str) -> Path | None:
    """Return the log of a task's latest attempt, None if there is none yet."""
    folder = logs / f"dag_id={dag}" / f"run_id={run}" / f"task_id={task}"
    attempts = sorted(folder.glob("attempt=*.log"), key=lambda path: int(path.stem.partition("=")[2]))
    return attempts[-1] if attempts else None


def last_printed(log: Path | None) -> str:
    """Return the last line that a task's command has printed."""
    return (_printed(_events(log)) or [""])[-1]


def last_lines(log: Path | None, count: int) -> list[str]:
    """Return the last lines that a task's command printed; if it never got so far, Airflow's own about the task."""
    events = _events(log)
    return (_printed(events) or [text for _, text in events])[-count:]


def _printed(events: list[tuple[str, str]]) -> list[str]:
    return [text for logger, text in events if logger.endswith(_COMMAND) and not text.startswith(_FRAME)]


def _events(log: Path | None) -> list[tuple[str, str]]:
    """Return logger and text of the last events of a log."""
    if log is None:
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _READ_BYTES))
        return [event for event in map(_event, file.read().decode(errors="replace").splitlines()) if event]


def _event(line: str) -> tuple[str, str] | None:
    """Return logger and text of one event; None for a blank or cut line."""
    try:
        event = json.loads(line)
        return (event["logger"], event["event"].rstrip()) if event["event"].strip() else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
