import subprocess
import sys

import pytest
import torch

from pipeline_tasks.commands import processes

FAKE = """
import os, sys
print(sys.argv[1:], os.environ.get("RANK"))
sys.exit(int(os.environ["FAKE_STATUS"]))
"""


@pytest.fixture
def launched(monkeypatch):
    """The commands that were started; each is replaced by a process that ends with FAKE_STATUS."""
    commands, popen = [], subprocess.Popen

    def start(command):
        commands.append(command)
        return popen([sys.executable, "-c", FAKE, *command])

    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setattr(sys, "argv", ["defectline", "train", "--generator", "all"])
    return commands


def test_the_own_command_is_run_again_in_several_processes(launched, monkeypatch):
    monkeypatch.setenv("FAKE_STATUS", "0")
    processes.run_together(3)
    (command,) = launched
    assert command[0] == sys.executable and "--nproc-per-node=3" in command
    assert command[-4:] == ["pipeline_tasks", "train", "--generator", "all"]


def test_a_failed_process_is_a_crash_and_no_verdict(launched, monkeypatch):
    monkeypatch.setenv("FAKE_STATUS", "1")
    with pytest.raises(RuntimeError, match="one of 2 processes failed"):
        processes.run_together(2)


@pytest.mark.parametrize(("rank", "launched", "main"), [(None, False, True), ("0", True, True), ("1", True, False)])
def test_one_of_several_processes_is_the_main_one(monkeypatch, rank, launched, main):
    monkeypatch.delenv("RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("RANK", rank)
    assert (processes.is_launched(), processes.is_main_process()) == (launched, main)


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setenv("FAKE_STATUS", "0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_a_command_runs_in_a_process_for_each_gpu(launched, two_gpus):
    assert processes.spread_over_devices("auto")
    (command,) = launched
    assert "--nproc-per-node=2" in command


@pytest.mark.parametrize(("device", "rank"), [("cpu", None), ("auto", "0")])
def test_on_a_cpu_and_in_such_a_process_it_runs_by_itself(launched, two_gpus, monkeypatch, device, rank):
    if rank is not None:
        monkeypatch.setenv("RANK", rank)
    assert not processes.spread_over_devices(device)
    assert launched == []


def test_each_item_is_one_processes_own_and_the_first_prepares():
    told = []
    teams = [processes.Team(number, 3, lambda: told.append("wait")) for number in range(3)]
    assert sorted(item for team in teams for item in team.share(range(10))) == list(range(10))
    for team in teams:
        team.begin(lambda: told.append("prepare"))
    assert told == ["prepare", "wait", "wait", "wait"]
    assert (teams[2].label("make"), processes.Team().label("make")) == ("make, process 3 of 3", "make")
