"""The processes of the embedded Airflow: started apart from the terminal, found again by their mark, surely stopped."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

import psutil  # type: ignore[import-untyped]

from dags.headless.home import MARKER, Home

GRACE_S = 3
"""How long processes may take to stop by themselves before they are killed."""
LAST_WORDS_S = 10
"""How long a service that is let go first may take to end what it has begun."""


def start_service(home: Home, name: str, *command: str, **environment: str) -> int:
    """Start `python -m COMMAND` as a process group of its own, its output in its log; return its process id."""
    with home.service_log(name).open("w") as log:
        service = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=home.root,
            env=home.environment() | environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    while service.poll() is None and not is_alive(home, service.pid):
        time.sleep(0.01)  # its environment, and so its mark, cannot be read in the first moment
    return service.pid


def is_alive(home: Home, process_id: int) -> bool:
    """Tell whether this is a live process of this home, and not another one to which the id has passed."""
    with suppress(psutil.Error):
        return _is_marked(home, psutil.Process(process_id))
    return False


def live_processes(home: Home) -> Iterator[psutil.Process]:
    """Yield every live process that descends from a service of this home, the commands of its tasks included."""
    for candidate in psutil.process_iter():
        with suppress(psutil.Error):
            if _is_marked(home, candidate):
                yield candidate


def let_go(home: Home, process_id: int) -> None:
    """Ask a service, and none of those that descend from it, to end what it has begun and stop; wait until it has."""
    with suppress(psutil.Error):
        service = psutil.Process(process_id)
        if _is_marked(home, service):
            service.terminate()
            psutil.wait_procs([service], timeout=LAST_WORDS_S)


def stop_services(home: Home) -> int:
    """Stop every live process of this home, first by asking, then by force; return how many there were."""
    asked: set[int] = set()
    deadline = time.monotonic() + GRACE_S
    quiet = 0
    while quiet < 2:  # one look can miss a process in the moment in which it becomes another program
        running = list(live_processes(home))
        quiet = 0 if running else quiet + 1
        for process in running:
            with suppress(psutil.Error):
                if time.monotonic() > deadline:
                    process.kill()
                elif process.pid not in asked:
                    process.terminate()
                    asked.add(process.pid)
        psutil.wait_procs(running, timeout=0.5)
        time.sleep(0.05)
    return len(asked)


def _is_marked(home: Home, process: psutil.Process) -> bool:
    return bool(process.environ().get(MARKER) == str(home.folder) and process.status() != psutil.STATUS_ZOMBIE)
