"""The whole pipeline beside a repository, with its own stages: killed within one, called again, and once more."""

import shutil
from pathlib import Path

import pytest
from mortal_refresh import LOG, Fault, refresh
from settings import write_settings
from tiny_project import REPOSITORY, TINY

from pipeline_tasks.commands.protocol import evaluate_folder
from pipeline_tasks.lineage.protocol_params import Order
from pipeline_tasks.lineage.protocol_runs import SideWorkspace
from pipeline_tasks.lineage.repro import StageCrashed
from pipeline_tasks.sample.product import Counts, write_product
from pipeline_tasks.storage import read_json

KILL = Fault("evaluate@plate", "between trainings", "pipeline_tasks.benefit.trainings.score_image", call=10)
ORDER = Order(
    "few-shot-10",
    ablations=["no-code"],
    seeds=1,
    changes=["evaluate.arms=[real_flip, generator_50, cutpaste_50]", "choose.arms=[real_flip, paste_50]"],
)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """This repository's pipeline and parameters that cost little, as the current directory."""
    root = tmp_path / "project"
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    for name in ("dvc.yaml", ".dvcignore"):
        shutil.copy(REPOSITORY / name, root)
    (root / "pipeline_tasks").symlink_to(REPOSITORY / "pipeline_tasks")
    shutil.copytree(REPOSITORY / "profiles", root / "profiles")
    write_settings(root, **TINY)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def plate(tmp_path):
    """A folder of raw images with one defect."""
    write_product(tmp_path / "plate", 0, Counts(train_good=4, test_good=2, per_defect=6))
    for defect in ("scratch", "stain"):
        for part in ("test", "ground_truth"):
            shutil.rmtree(tmp_path / "plate" / part / defect)
    return tmp_path / "plate"


def fork_stages(fault, outputs):
    """Return a stand-in for `SideWorkspace._run` that forks DVC and the stages, which is faster, and may kill one."""

    def run(workspace, _, targets, watch):
        status = refresh(workspace.home, targets[0], fault)
        outputs.append(Path(workspace.home / LOG).read_text())
        for line in outputs[-1].splitlines(keepends=True):
            watch.hear(line)
        if status:
            raise StageCrashed(outputs[-1][-2000:])

    return run


def test_a_protocol_is_killed_and_called_again_and_repeats_nothing(project, plate, monkeypatch, capsys):
    outputs = []
    monkeypatch.setattr(SideWorkspace, "_run", fork_stages(KILL, outputs))
    with pytest.raises(BaseException) as end:
        evaluate_folder(plate, ORDER)
    assert getattr(end.value, "exit_code", None) == 70, outputs[-1][-2000:]
    assert "Running stage 'evaluate@plate'" in outputs[-1]

    monkeypatch.setattr(SideWorkspace, "_run", fork_stages(None, outputs))
    evaluate_folder(plate, ORDER)
    printed = capsys.readouterr().out
    assert "Stage 'choose@plate' didn't change, skipping" in outputs[-2]
    for row in ("real_flip", "chosen", "inpainting_50", "cutpaste_50", "inpainting_50 [no-code]"):
        assert f"\n  {row}  " in printed, printed
    assert "pit: " in printed[printed.index("chosen on folds") :]

    evaluate_folder(plate, ORDER)
    assert len(outputs) == 5 and not any("Running stage" in output for output in outputs[3:]), "nothing ran again"
    (file,) = project.glob(".work/protocols/few-shot-10/plate-*/results.json")
    whole, without = read_json(file)["products"]["plate"]["draws"][0]
    assert whole["params"]["train"]["inpainting"]["appearance_code"]
    assert not without["params"]["train"]["inpainting"]["appearance_code"]
    assert whole["pairs"] == {"pit": 3}
    arms = [run["evaluation"]["detectors"]["unet"]["arms"] for run in (whole, without)]
    assert arms[0]["real_flip"] == arms[1]["real_flip"], "what is the same is measured alike"
    assert arms[0]["inpainting_50"] != arms[1]["inpainting_50"]
