from pathlib import Path

import pytest

from pipeline_tasks.commands.work import WORK, work_folder
from pipeline_tasks.errors import DataError
from pipeline_tasks.params import Run


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
    package = tmp_path / "package" / "commands"
    package.mkdir(parents=True)
    monkeypatch.setattr("pipeline_tasks.commands.work.__file__", str(package / "work.py"))
    folders = []
    for code in ("x = 1", "x = 2"):
        (package.parent / "model.py").write_text(code)
        folders.append(work_folder("train", "plate", inputs, []))
    assert folders[0] != folders[1]


def test_a_missing_input_is_named():
    with pytest.raises(DataError, match="nowhere: missing; run `dvc repro`"):
        work_folder("train", "plate", [Path("nowhere")], [])
