"""A kill while the catalog or the samples are put in place leaves the old ones, and the next run cleans up."""

import signal
import subprocess
import sys

import pytest

DIE = """
import os, signal, sys
from importlib import import_module
owner, name = sys.argv.pop(1).rsplit(".", 1)
module, _, kind = owner.partition(":")
setattr(getattr(import_module(module), kind) if kind else import_module(module), name,
        lambda *_: os.kill(os.getpid(), signal.SIGKILL))
from pipeline_tasks.__main__ import main
main()
"""
CATALOG = ("catalog", "plate")
INGEST = ("ingest", "--product", "plate", "--raw", "plate", "--layout", "mvtec", "--base", "base", "--test", "test")
INGEST += ("--set-aside", "set_aside.parquet", "--split", "split.csv")


@pytest.mark.parametrize(
    ("command", "function", "outputs"),
    [
        (CATALOG, "pathlib:Path.replace", ["catalog.yaml"]),
        (INGEST, "pipeline_tasks.storage.replace_folder", ["base", "test", "split.csv"]),
    ],
    ids=["catalog", "ingest"],
)
def test_the_old_outputs_stay(defectline, product_folder, tmp_path, command, function, outputs):
    product_folder.good(3).defect("dent", 4)
    assert defectline(*command).status == 0
    product_folder.defect("pit", 4)
    before = contents(tmp_path, outputs)
    killed = subprocess.run([sys.executable, "-c", DIE, function, *command], cwd=tmp_path, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert contents(tmp_path, outputs) == before
    assert any(tmp_path.glob("*.part")) or any(tmp_path.glob(".*.part")), "it died while writing"
    assert defectline(*command).status == 0
    assert contents(tmp_path, outputs) != before
    assert not any(tmp_path.glob(".*.part"))


def contents(root, names):
    files = [file for name in names for file in [root / name, *(root / name).rglob("*")] if file.is_file()]
    return {file.relative_to(root): file.read_bytes() for file in files}
