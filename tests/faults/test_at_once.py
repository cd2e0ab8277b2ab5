"""Two at once: one goes on, the other waits or stops and says why. And a stage that is stopped leaves nobody behind."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from threading import Thread

import psutil
import pytest

from pipeline_tasks.lineage.turns import in_turn


@pytest.fixture
def start(tiny_pipeline):
    """Starts a stage as a scheduler does."""

    def repro(stage):
        command = [sys.executable, "-m", "pipeline_tasks", "repro", stage]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    done = repro("ingest@plate").communicate()
    assert done[0].endswith("\nran\n"), done
    return repro


def hanging(root, start, stage, name):
    """Start a stage that will hang, and wait until it does."""
    (root / "control" / f"hang-{name}").touch()
    process = start(stage)
    while not (root / "control" / f"hanging-{name}").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    (root / "control" / f"hang-{name}").unlink()
    return process


def running_in(root):
    """Return the commands that run in the folder."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and process.cwd() == str(root):
                found.append(process.cmdline())
    return found


def test_a_stage_started_twice_runs_once_and_one_that_is_stopped_leaves_nobody_behind(tiny_pipeline, start):
    first = hanging(tiny_pipeline, start, "generate@plate-pit", "generate-plate-pit")
    second = start("generate@plate-pit")
    out, err = second.communicate()
    assert second.returncode == 75, out
    assert err.startswith("error: stage 'generate@plate-pit': ") and "is being blocked by: (PID " in err
    assert first.poll() is None

    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=20)
    assert first.returncode == 128 + signal.SIGTERM
    deadline = time.monotonic() + 10
    while running_in(tiny_pipeline):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    third = start("generate@plate-pit")
    assert third.communicate()[0].endswith("\nran\n")


def test_turns_are_taken_and_a_killed_process_has_none(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    script = (
        "import sys; from pipeline_tasks.lineage.turns import in_turn\nwith in_turn('x'): print('in'); sys.stdin.read()"
    )
    other = subprocess.Popen([sys.executable, "-uc", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "in\n"
    began = []

    def wait():
        with in_turn("x"):
            began.append(time.monotonic())

    waiting = Thread(target=wait)
    waiting.start()
    while f"waiting until process {other.pid} has done the same (x)" not in capsys.readouterr().out:
        time.sleep(0.01)
    assert began == []
    killed = time.monotonic()
    other.kill()
    other.communicate()
    waiting.join(timeout=10)
    assert began and began[0] > killed
