"""Unfinished work of a stage on a node that may die: kept on DVC's remote, so that the next node goes on with it.

What stages leave in `.work/STAGE/ITEM/` is named after all that decides its content (commands/work.py).
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pipeline_tasks.errors import ConfigError, DefectlineError
from pipeline_tasks.lineage.copies import Copies

INTERVAL = "DEFECTLINE_COPY_SECONDS"
"""Environment variable for the seconds between two copies, 10 if it is not set: what a node that is killed loses at
most, beside the work since the last file. Large checkpoints want more."""


@contextmanager
def kept_on_remote(work: Copies) -> Iterator[None]:
    """Copy a stage's unfinished work while it runs, every so many seconds and in the end, however it ends.

    The copies stay when the stage has used it up: they are needed until its outputs are on the remote.

    A copy that fails is tried again the next time; the last one only says that it failed, for the stage itself may have
    done its work. Raises ConfigError if the environment names no interval that makes sense.
    """
    ended = threading.Event()
    thread = threading.Thread(target=_copy_until, args=(work, ended, _interval_s()), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        _copy(work)


def _interval_s() -> float:
    given = os.environ.get(INTERVAL, "10")
    with suppress(ValueError):
        if (seconds := float(given)) > 0:
            return seconds
    raise ConfigError(f"{INTERVAL}: '{given}' is no number of seconds above 0")


def _copy_until(work: Copies, ended: threading.Event, interval_s: float) -> None:
    while not ended.wait(interval_s):
        _copy(work)


def _copy(work: Copies) -> None:
    try:
        work.copy()
    except (DefectlineError, OSError) as error:
        print(f"unfinished work was not copied: {error}", flush=True)
