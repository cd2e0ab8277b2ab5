"""One command in several processes that work together, a GPU each."""

import os
import subprocess
import sys

RANK = "RANK"
"""Environment variable that torch's launcher gives each of its processes."""


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
