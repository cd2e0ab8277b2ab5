"""Taking turns: what two processes must not do to one repository at once."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline_tasks.lineage.files import WORK


@contextmanager
def in_turn(step: str) -> Iterator[None]:
    """Hold the turn for `step` in this repository; while another process on this machine has it, say so and wait.

    The turn of a process that is killed ends with it. Raises StorageError if the file of the turn cannot be written.
    """
    WORK.mkdir(exist_ok=True)
    with (WORK / f"{step}.turn").open("a+") as turn:
        try:
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            turn.seek(0)
            print(f"waiting until process {turn.read() or '?'} has done the same ({step})", flush=True)
            fcntl.flock(turn, fcntl.LOCK_EX)
        turn.truncate(0)
        turn.write(str(os.getpid()))
        turn.flush()
        yield
