"""One command in several processes that work together, a GPU each."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

RANK = "RANK"
"""Environment variable that torch's launcher gives each of its processes."""
PATIENCE = timedelta(days=7)
"""How long a process waits for the slowest of the others: longer than any stage may take."""


def is_launched() -> bool:
    """Return whether this process is one of several that were started together."""
    return RANK in os.environ


def is_main_process() -> bool:
    """Return whether this process is alone, or the one of several that writes the result."""
    return os.environ.get(RANK, "0") == "0"


def run_together(processes: int) -> None:
    """Run this process's own command again in `processes` processes on this machine, as `accelerate launch` does.

    Raises RuntimeError if one of them fails: it has said why. They end with this process.
    """
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    with subprocess.Popen([*launcher, "--module", "pipeline_tasks", *sys.argv[1:]]) as launched:
        try:
            status = launched.wait()
        finally:
            launched.terminate()
    if status:
        raise RuntimeError(f"one of {processes} processes failed, see above; torch's launcher exited with {status}")


def spread_over_devices(device: str) -> bool:
    """Run this process's own command again in a process for each GPU, if `device` ('auto', 'cpu' or 'cuda') means
    several of them, and return whether that was done. Raises as `run_together`.
    """
    from pipeline_tasks.diffusion.device import count_devices

    if is_launched() or (devices := count_devices(device)) == 1:
        return False
    run_together(devices)
    return True


@dataclass(frozen=True)
class Team:
    """Processes that were started together, as one of them sees it: the `number`th, from 0, of `size`."""

    number: int = 0
    size: int = 1
    wait: Callable[[], None] = lambda: None
    """Returns once all have called it."""

    def begin(self, prepare: Callable[[], None]) -> None:
        """Let the first one `prepare`, before any goes on."""
        if self.number == 0:
            prepare()
        self.wait()

    def share(self, numbers: Sequence[int]) -> Sequence[int]:
        """Return the process's own of `numbers`; each is one process's."""
        return numbers[self.number :: self.size]

    def label(self, what: str) -> str:
        """Return what to call the process's share of a work."""
        return what if self.size == 1 else f"{what}, process {self.number + 1} of {self.size}"


@contextmanager
def together(device: str) -> Iterator[Team]:
    """Put this process on a device of its own, of the kind `device` ('auto', 'cpu' or 'cuda'), and yield its team.

    At the end it waits for the others. A process that was started alone is its own team.
    """
    if not is_launched():
        yield Team()
        return
    from accelerate import PartialState

    from pipeline_tasks.diffusion.device import pick_device

    state = PartialState(cpu=pick_device(device).type == "cpu", timeout=PATIENCE)
    yield Team(state.process_index, state.num_processes, state.wait_for_everyone)
    state.wait_for_everyone()
    state.destroy_process_group()
