import shutil
from pathlib import Path

import pytest

from pipeline_tasks.commands import work
from pipeline_tasks.commands.work import WORK, folder_of, this_run, work_folder
from pipeline_tasks.errors import DataError
from pipeline_tasks.params import Run
from pipeline_tasks.provenance import PACKAGE, code_revision


@pytest.fixture
def inputs(tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "0.parquet").write_bytes(b"masks")
    (tmp_path / "model.json").write_text("{}")
    return [tmp_path / "masks", tmp_path / "model.json"]


def test_the_folder_is_the_same_for_the_same_work(inputs):
    folder = work_folder("train", "plate", inputs, [Run(seed=0)])
    assert folder == work_folder("train", "plate", inputs, [Run(seed=0)])
    assert folder.parent == WORK / "train" / "plate"


def test_other_inputs_or_parameters_get_another_folder(inputs):
    folders = [
        work_folder("train", "plate", inputs, [Run(seed=0)]),
        work_folder("train", "plate", inputs, [Run(seed=1)]),
        work_folder("train", "plate", inputs[::-1], [Run(seed=0)]),
    ]
    (inputs[0] / "0.parquet").write_bytes(b"other")
    folders.append(work_folder("train", "plate", inputs, [Run(seed=0)]))
    (inputs[0] / "0.parquet").rename(inputs[0] / "1.parquet")
    folders.append(work_folder("train", "plate", inputs, [Run(seed=0)]))
    assert len(set(folders)) == len(folders)


def test_other_code_gets_another_folder(inputs, tmp_path, monkeypatch):
    folders = []
    for code in ("x = 1", "x = 2"):
        package = tmp_path / code
        package.mkdir()
        (package / "model.py").write_text(code)
        monkeypatch.setattr(work, "PACKAGE", package)
        folders.append(work_folder("train", "plate", inputs, []))
    assert folders[0] != folders[1]


def test_a_run_is_told_by_its_code_and_a_digest_that_begins_with_its_folders_name(inputs):
    run = this_run(inputs, [Run(seed=0)])
    assert run.code_revision == code_revision(PACKAGE)
    assert len(run.run_id) == 64 and work_folder("train", "plate", inputs, [Run(seed=0)]).name == run.run_id[:16]
    assert folder_of("train", "plate", run.run_id) == work_folder("train", "plate", inputs, [Run(seed=0)])


def test_a_run_is_the_same_wherever_its_inputs_lie(inputs, tmp_path):
    moved = [shutil.copytree(inputs[0], tmp_path / "elsewhere"), shutil.copy(inputs[1], tmp_path / "other.json")]
    assert this_run(moved, [Run(seed=0), 7, "abc"]) == this_run(inputs, [Run(seed=0), 7, "abc"])
    assert this_run(inputs, [Run(seed=0), 7, "abc"]) != this_run(inputs, [Run(seed=0), 7, "abd"])


def test_a_missing_input_is_named():
    with pytest.raises(DataError, match="nowhere: missing; run `dvc repro`"):
        work_folder("train", "plate", [Path("nowhere")], [])
