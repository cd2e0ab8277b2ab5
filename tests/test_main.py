import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from pipeline_tasks import __main__
from pipeline_tasks.commands.repro import CRASHED
from pipeline_tasks.errors import DataError

STAGES = list(yaml.safe_load((Path(__file__).parents[1] / "dvc.yaml").read_text())["stages"])


def test_every_command_is_offered_with_a_sentence(defectline):
    ran = defectline("--help")
    assert ran.status == 0
    for name in __main__.COMMANDS:
        (line,) = [line for line in ran.out.splitlines() if line.strip("│ ").startswith(f"{name} ")]
        assert len(line.split()) > 4


def test_without_a_command_the_help_is_shown(defectline):
    ran = defectline()
    assert "Usage" in ran.out + ran.err


@pytest.mark.parametrize("arguments", [("fly",), ("ingest",), ("ingest", "--colour", "red")])
def test_a_wrong_command_line_is_refused(defectline, arguments):
    ran = defectline(*arguments)
    assert ran.status == 2
    assert "Usage" in ran.err


@pytest.mark.parametrize("name", STAGES)
def test_no_stage_takes_a_name_that_leads_elsewhere(defectline, tmp_path, name):
    before = sorted(tmp_path.rglob("*"))
    command = getattr(import_module(f"pipeline_tasks.commands.{name}"), name)
    options = [
        part for option in inspect.signature(command).parameters for part in (f"--{option.replace('_', '-')}", "here")
    ]
    named = next(option for option in ("--product", "--generator") if option in options)
    options[options.index(named) + 1] = "../x"
    ran = defectline(name, *options)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith(f"error: {named}: '../x' is no name: ")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("product", [("--product=../x",), ("--product", "../x")])
def test_evaluate_with_a_product_is_the_stage_however_that_is_spelled(defectline, product):
    files = ("base", "test", "masks", "pairs", "choice", "validation", "result", "curves")
    ran = defectline("evaluate", *product, *(f"--{name}=here" for name in files))
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("error: --product: '../x' is no name: ")


def stub(monkeypatch, error):
    def catalog() -> None:
        """Fail."""
        raise error

    monkeypatch.setattr("pipeline_tasks.commands.catalog.catalog", catalog)


def test_an_expected_error_is_one_line_and_status_1(defectline, monkeypatch):
    stub(monkeypatch, DataError("plate: empty; fill it"))
    assert defectline("catalog") == (1, "", "error: plate: empty; fill it\n")


def test_a_crash_has_a_traceback_and_a_status_of_its_own(defectline, monkeypatch):
    stub(monkeypatch, ZeroDivisionError("by zero"))
    ran = defectline("catalog")
    assert ran.status == CRASHED != 1
    assert "Traceback" in ran.err
    assert "ZeroDivisionError: by zero" in ran.err


def test_the_module_is_the_program():
    command = [sys.executable, "-m", "pipeline_tasks", "catalog", "nowhere"]
    ran = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (
        1,
        "error: nowhere: no such folder; give the folder that holds your product's images\n",
    )
