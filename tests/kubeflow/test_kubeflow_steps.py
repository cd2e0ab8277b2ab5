"""What each step of the pipeline does in its pod, here as plain functions beside a `defectline` that only tells."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline_tasks.lineage.kubeflow import pin, publish, repro

TELLS = """\
#!{python}
import json, os, sys
from pathlib import Path
Path("clone").mkdir()
told = [sys.argv[1:], os.getcwd(), os.environ.get("DEFECTLINE_REMOTE"), os.environ.get("MLFLOW_TRACKING_URI")]
Path({told!r}).write_text(json.dumps(told))
print("busy", flush=True)
{end}
"""
GIVEN = {"repository": "file:///r", "revision": "abc", "remote": "s3://b/d", "mlflow": ""}


@pytest.fixture
def node(tmp_path, monkeypatch):
    """Puts a `defectline` that ends as it is told on the PATH; returns where it says what it was called with."""
    told = tmp_path / "told.json"

    def ending(end: str) -> Path:
        (tmp_path / "bin").mkdir()
        command = tmp_path / "bin" / "defectline"
        command.write_text(TELLS.format(python=sys.executable, told=str(told), end=end))
        command.chmod(0o755)
        (tmp_path / "work").mkdir()
        monkeypatch.chdir(tmp_path / "work")
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "of the image")
        return told

    handler = signal.getsignal(signal.SIGTERM)
    yield ending
    signal.signal(signal.SIGTERM, handler)


def test_a_stage_runs_in_a_folder_of_its_own(node, capfd):
    told = node("")
    repro(stage="generate@plate-pit", run="", job="17", **GIVEN)
    arguments, folder, remote, mlflow = json.loads(told.read_text())
    assert arguments == ["node", "file:///r", "abc", "--", "repro", "generate@plate-pit", "--run", "17"]
    assert Path(folder).parent == Path.cwd()
    assert (remote, mlflow) == ("s3://b/d", "of the image")
    assert capfd.readouterr().out == "busy\n"
    assert not list(Path.cwd().iterdir())


def test_a_run_may_have_a_name(node):
    told = node("")
    publish(branch="main", run="nightly", job="17", **GIVEN)
    assert json.loads(told.read_text())[0][-5:] == ["publish", "--run", "nightly", "--branch", "main"]


@pytest.mark.parametrize(("end", "status"), [("sys.exit(75)", 75), ("os.kill(os.getpid(), 9)", 137)])
def test_a_step_fails_with_the_status_of_its_command(node, end, status):
    node(end)
    with pytest.raises(SystemExit) as ended:
        repro(stage="ingest@plate", run="", job="17", **GIVEN)
    assert ended.value.code == status


def test_a_step_that_is_stopped_stops_its_command(node):
    node("import time; time.sleep(60)")
    program = f"from pipeline_tasks.lineage.kubeflow import repro\nrepro(stage='s', run='', job='17', **{GIVEN})"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as step:
        assert step.stdout.readline() == "busy\n"
        step.terminate()
        assert step.wait(30) == 128 + signal.SIGTERM
    assert not list(Path.cwd().iterdir())


def test_the_revision_is_pinned_to_the_head_of_the_branch(tiny_pipeline):
    git = ["git", "-C", str(tiny_pipeline)]
    subprocess.run([*git, "branch", "--move", "main"], check=True)
    subprocess.run([*git, "branch", "other/main"], check=True)  # ends alike
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert pin(repository=tiny_pipeline.as_uri(), branch="main", revision="") == head
    assert pin(repository=tiny_pipeline.as_uri(), branch="main", revision="abc") == "abc"


def test_a_branch_that_is_not_there_fails_its_step(tiny_pipeline, capfd):
    with pytest.raises(subprocess.CalledProcessError):
        pin(repository=tiny_pipeline.as_uri(), branch="gone", revision="")
