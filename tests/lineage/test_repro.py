import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner

from pipeline_tasks.commands.repro import CRASHED, repro
from pipeline_tasks.errors import DefectlineError, TransientError
from pipeline_tasks.lineage.dvc_command import run_dvc
from pipeline_tasks.lineage.graph import load_graph
from pipeline_tasks.lineage.repro import StageCrashed, reproduce_stage


def test_a_stage_runs_then_is_unchanged_then_is_restored(tiny_pipeline, capfd):
    assert reproduce_stage(tiny_pipeline, "ingest@plate") == "ran"
    assert "ingest-plate is done" in capfd.readouterr().out, "the command's output is passed on"
    assert reproduce_stage(tiny_pipeline, "ingest@plate") == "unchanged"
    (tiny_pipeline / "raw" / "plate" / "2.txt").write_text("another sample")
    assert reproduce_stage(tiny_pipeline, "ingest@plate") == "ran"
    (tiny_pipeline / "raw" / "plate" / "2.txt").unlink()
    assert reproduce_stage(tiny_pipeline, "ingest@plate") == "restored"


def test_a_refusal_is_told_from_a_crash(tiny_pipeline):
    reproduce_stage(tiny_pipeline, "ingest@plate")
    (tiny_pipeline / "control" / "refuse-generate-plate-pit").touch()
    with pytest.raises(DefectlineError, match="stage 'generate@plate-pit': the gate of generate-plate-pit is shut"):
        reproduce_stage(tiny_pipeline, "generate@plate-pit")
    (tiny_pipeline / "control" / "crash-generate-plate-dent").touch()
    with pytest.raises(StageCrashed, match="generate@plate-dent"):
        reproduce_stage(tiny_pipeline, "generate@plate-dent")
    assert reproduce_stage(tiny_pipeline, "generate@plate-dent") == "ran"
    with pytest.raises(StageCrashed, match="not found"):
        reproduce_stage(tiny_pipeline, "generate@nothing")


def test_what_may_pass_is_told_from_a_verdict(tiny_pipeline):
    (tiny_pipeline / "stage.sh").write_text("echo error: out: the disk is full >&2; exit 75")
    with pytest.raises(TransientError, match=r"^stage 'ingest@plate': out: the disk is full$") as passing:
        reproduce_stage(tiny_pipeline, "ingest@plate")
    assert passing.value.status == 75


def test_what_one_of_several_processes_says_is_no_verdict(tiny_pipeline):
    (tiny_pipeline / "stage.sh").write_text("echo error: out: the disk is full >&2; exit 70")
    with pytest.raises(StageCrashed, match=r"exited with 70; a process of it said: out: the disk is full$"):
        reproduce_stage(tiny_pipeline, "ingest@plate")


def test_the_command_ends_with_the_outcome_or_the_status_of_a_crash(tiny_pipeline):
    app = typer.Typer()
    app.command()(repro)
    done = CliRunner().invoke(app, ["ingest@plate"])
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "ran")
    (tiny_pipeline / "control" / "crash-generate-plate-pit").touch()
    assert CliRunner().invoke(app, ["generate@plate-pit"]).exit_code == CRASHED
    (tiny_pipeline / "control" / "refuse-generate-plate-dent").touch()
    assert isinstance(CliRunner().invoke(app, ["generate@plate-dent"]).exception, DefectlineError)


def test_siblings_run_side_by_side_in_one_workspace(tiny_pipeline: Path, monkeypatch):
    monkeypatch.setenv("FILES", "100")
    catalog = yaml.safe_load((tiny_pipeline / "catalog.yaml").read_text())
    defects = {f"plate-{name}": {"product": "plate", "defect": name, "generator": "plate"} for name in "abcd"}
    catalog["defects"] = defects
    (tiny_pipeline / "catalog.yaml").write_text(yaml.safe_dump(catalog))
    siblings = [stage.name for stage in load_graph(tiny_pipeline).stages if stage.group == "generate"]
    reproduce_stage(tiny_pipeline, "ingest@plate")
    with ThreadPoolExecutor(len(siblings)) as pool:
        outcomes = list(pool.map(lambda name: reproduce_stage(tiny_pipeline, name), siblings))
    assert outcomes == ["ran"] * len(defects)
    status = run_dvc(tiny_pipeline, "status", "--json", *siblings)
    assert status.stdout.strip() == "{}", "every sibling is in dvc.lock as it is in the workspace"
    assert len(subprocess.check_output(["git", "status", "--porcelain"], text=True).splitlines()) == 2
