import json
import os
import time
from pathlib import Path

import pytest
import yaml
from dvc.fs import LocalFileSystem

from pipeline_tasks.errors import DataError, TransientError
from pipeline_tasks.lineage.handoff import KEPT_DAYS, Handoff
from pipeline_tasks.lineage.lock_file import read_entries
from pipeline_tasks.lineage.remote import RemoteFolder

SPLIT = "splits/plate.csv"


def entry(md5: str, learning_rate: str = "1e-05") -> str:
    return f"""\
cmd: defectline ingest
params:
  params.yaml:
    rate: {learning_rate}
outs:
- path: data/base/plate
  hash: md5
  md5: {md5}.dir
- path: {SPLIT}
  md5: {"2" * 32}
"""


def machine(place: Path, lock: str | None = None) -> Path:
    (place / "splits").mkdir(parents=True)
    (place / SPLIT).write_text("image,side\n")
    if lock is not None:
        text = "\n".join(f"    {line}" for line in lock.splitlines())
        (place / "dvc.lock").write_text(f"schema: '2.0'\nstages:\n  ingest@plate:\n{text}\n")
    return place


@pytest.fixture
def remote(tmp_path: Path) -> RemoteFolder:
    return RemoteFolder("trial", LocalFileSystem(), str(tmp_path / "remote"))


def handoff(root: Path, remote: RemoteFolder, run: str = "run") -> Handoff:
    return Handoff.of(root, remote, run)


def test_an_entry_and_what_git_keeps_go_over(tmp_path, remote):
    one, other = machine(tmp_path / "one", entry("1" * 32)), machine(tmp_path / "other")
    (one / SPLIT).write_text("image,side\na.png,base\n")
    handoff(one, remote).give("ingest@plate")
    handoff(other, remote).take(["ingest@plate"])
    assert (other / SPLIT).read_text() == "image,side\na.png,base\n"
    assert yaml.safe_load((other / "dvc.lock").read_text()) == yaml.safe_load((one / "dvc.lock").read_text())
    assert "rate: 1e-05\n" in (other / "dvc.lock").read_text()


def test_the_same_entry_changes_nothing(tmp_path, remote):
    root = machine(tmp_path / "one", entry("1" * 32))
    handoff(root, remote).give("ingest@plate")
    before = (root / "dvc.lock").stat().st_mtime_ns
    handoff(root, remote).take(["ingest@plate"])
    assert (root / "dvc.lock").stat().st_mtime_ns == before


def test_what_was_handed_over_first_for_the_same_inputs_stays(tmp_path, remote):
    one, other = machine(tmp_path / "one", entry("1" * 32)), machine(tmp_path / "other", entry("3" * 32))
    handoff(one, remote).give("ingest@plate")
    handoff(other, remote).give("ingest@plate")
    assert read_entries(other) == read_entries(one)
    third = machine(tmp_path / "third", entry("4" * 32, "2e-05"))
    handoff(third, remote).give("ingest@plate")
    handoff(one, remote).take(["ingest@plate"])
    assert read_entries(one) == read_entries(third)


def test_runs_are_kept_apart_whatever_they_are_called(tmp_path, remote):
    root = machine(tmp_path / "one", entry("1" * 32))
    names = ["../../escape", "scheduled__2026-01-31T02:00:00+00:00", "x" * 500, "x" * 501]
    assert len({handoff(root, remote, run).folder.path for run in names}) == len(names)
    for run in names:
        handoff(root, remote, run).give("ingest@plate")
    assert all(name.startswith("runs/") for name in remote.names()) and len(remote.names()) == len(names)


def test_old_runs_are_forgotten(tmp_path, remote):
    root = machine(tmp_path / "one", entry("1" * 32))
    for run in ("old", "new"):
        handoff(root, remote, run).give("ingest@plate")
    old = Path(handoff(root, remote, "old").folder.path) / "ingest@plate.json"
    os.utime(old, (0, time.time() - (KEPT_DAYS + 1) * 86400))
    handoff(root, remote, "new").forget_old()
    assert not old.exists() and len(remote.names()) == 1


def test_nothing_is_taken_where_one_stage_is_missing(tmp_path, remote):
    one, other = machine(tmp_path / "one", entry("1" * 32)), machine(tmp_path / "other")
    handoff(one, remote).give("ingest@plate")
    with pytest.raises(DataError, match="'prompts@plate' has handed over nothing"):
        handoff(other, remote).take(["ingest@plate", "prompts@plate"])
    assert not (other / "dvc.lock").exists()


@pytest.mark.parametrize(
    "path", ["../outside.csv", "pipeline_tasks/storage.py", "splits/../../outside.csv", "/outside"]
)
def test_a_hand_over_writes_nothing_but_splits(tmp_path, remote, path):
    root = machine(tmp_path / "one", entry("1" * 32))
    told = {"entry": "    outs: []\n", "files": {path: "evil"}}
    handoff(root, remote).folder.write("ingest@plate.json", json.dumps(told))
    with pytest.raises(DataError, match="which git does not keep"):
        handoff(root, remote).take(["ingest@plate"])
    assert not (tmp_path / "outside.csv").exists() and not (root / "pipeline_tasks").exists()


def test_a_remote_out_of_reach_may_come_back(tmp_path, remote):
    (tmp_path / "remote").write_text("in the way")
    with pytest.raises(TransientError, match=r"DVC remote 'trial': .*; bring it back and try again"):
        remote.write("a/b", "text")
