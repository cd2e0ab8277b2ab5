import json

import pytest
import typer
from side_project import make_side_project, ran, run_without_dvc

from pipeline_tasks.commands import protocol
from pipeline_tasks.commands.protocol import evaluate_folder
from pipeline_tasks.errors import ConfigError, DataError, DefectlineError
from pipeline_tasks.lineage import protocol_runs
from pipeline_tasks.lineage.protocol_params import Order
from pipeline_tasks.lineage.repro import StageCrashed


@pytest.fixture
def control(tmp_path, monkeypatch):
    """The project, as the current directory; its stages run without DVC."""
    control = make_side_project(tmp_path / "project")
    monkeypatch.chdir(control.parent)
    monkeypatch.setattr(protocol_runs.SideWorkspace, "_run", run_without_dvc)
    return control


@pytest.fixture
def plate(product_folder):
    return product_folder.good(2).defect("pit", 2).root


@pytest.fixture
def two(product_folder):
    """A folder of two products."""
    folder = product_folder.root / "raw"
    for name in ("plate", "tile"):
        type(product_folder)(folder / name).good(2).defect("pit", 2)
    return folder


def results(project):
    (file,) = (project / ".work/protocols").glob("*/*/results.json")
    return json.loads(file.read_text())


def test_a_folder_is_evaluated_side_by_side_with_what_the_generator_is_without_a_part(control, plate, capsys):
    evaluate_folder(plate, Order("few-shot-10", ablations=["no-hmi"]))
    printed = capsys.readouterr().out
    assert "better: plate gains." in printed
    lines = {line.split("  ")[1]: line for line in printed.splitlines() if line.startswith("  ")}
    assert "0.600 ± 0.010" in lines["inpainting_50"] and "0.400 ± 0.010" in lines["inpainting_50 [no-hmi]"]
    assert "pit: no synthesis, real images with flips. Nothing beats it." in printed
    assert "evaluation: arm perlin_50: over the budget" in printed
    found = results(control.parent)
    assert f"results: {control.parent}" in printed
    (runs,) = found["products"]["plate"]["draws"]
    assert [run["name"] for run in runs] == ["", "no-hmi"]
    assert (
        runs[1]["params"]["masks"]["interpolated_fraction"] == 0 != runs[0]["params"]["masks"]["interpolated_fraction"]
    )
    assert "inpainting_100 [no-hmi]" in found["products"]["plate"]["summary"]["detectors"]["unet"]


def test_the_command_line_says_what_is_ordered(defectline, plate, monkeypatch):
    asked = []
    monkeypatch.setattr(protocol, "evaluate_folder", lambda *given: asked.append(given))
    assert defectline("evaluate", plate, "--protocol", "few-shot-10").status == 0
    options = ["--generator", "dit", "--generator", "paste", "--ablation", "no-hmi", "--set", "train.steps=7"]
    options += ["--seeds", 2, "--budget-minutes", 1.5, "--paper-budget", "--layout", "mvtec"]
    assert defectline("evaluate", plate, "--protocol", "half-split", *options).status == 0
    order = Order("half-split", ["dit", "paste"], ["no-hmi"], 2, 1.5, True, ["train.steps=7"])
    assert asked == [(plate, Order("few-shot-10", (), ()), None), (plate, order, "mvtec")]
    wrong = defectline("evaluate", plate, "--protocol", "few-shot-10", "--seeds", 0)
    assert wrong.status == 2 and "--seeds" in wrong.err


def test_draws_have_a_workspace_each_and_their_spread_is_told(control, plate, capsys):
    evaluate_folder(plate, Order("mvtec-classification", changes=["masks.pairs_per_defect=3"]))
    places = sorted(path.name for path in (control.parent / ".work/protocols/mvtec-classification").glob("*/*/"))
    assert [name for name in places if "draw" in name] == ["plate-draw-0", "plate-draw-1", "plate-draw-2"]
    arm = results(control.parent)["products"]["plate"]["summary"]["detectors"]["unet"]["real_flip"]
    assert arm["pixel_ap"]["values"] == pytest.approx([0.5, 0.6, 0.7]) and arm["pixel_ap"]["std"] == pytest.approx(0.1)
    printed = capsys.readouterr().out
    assert "0.600 ± 0.100" in printed and "draw 2: better: plate gains." in printed


def test_twice_as_many_pairs_as_real_images_are_made(control, plate):
    evaluate_folder(plate, Order("half-split"))
    ((run,),) = results(control.parent)["products"]["plate"]["draws"]
    assert run["params"]["masks"]["pairs_per_defect"] == 6, "of the three real images"


def test_time_is_measured_and_nothing_tested(control, plate, capsys):
    evaluate_folder(plate, Order("timing"))
    assert {name.partition("@")[0] for name in ran(control)} == {"ingest", "train", "generate"}
    found = results(control.parent)["products"]["plate"]
    assert found["draws"][0][0]["evaluation"] is None and found["draws"][0][0]["pairs"] == {"pit": 4}
    durations = found["summary"]["durations"]["inpainting"]
    assert durations["training"]["mean"] >= 0 and durations["pair"]["mean"] >= 0
    assert "seconds a pair" in capsys.readouterr().out


def test_a_product_that_fails_does_not_stop_the_others(control, two, capsys):
    (control / "refuse-evaluate@plate").touch()
    with pytest.raises(DefectlineError, match="not evaluated: plate; correct the cause, then run this again"):
        evaluate_folder(two, Order("few-shot-10"))
    told = capsys.readouterr()
    assert "plate: not evaluated: stage 'evaluate@plate': error: the gate of evaluate@plate is shut" in told.err
    assert "better: tile gains." in told.out and list(results(control.parent)["products"]) == ["tile"]


def test_another_split_of_a_folder_has_another_place(control, plate):
    for changes in ([], ["train.steps=7"], ["ingest.normal_test_fraction=0.4"]):
        evaluate_folder(plate, Order("few-shot-10", changes=changes))
    assert len([*(control.parent / ".work/protocols/few-shot-10").iterdir()]) == 2


def test_a_crash_ends_with_its_status_and_what_to_do(control, plate, monkeypatch, capsys):
    def crash(*_):
        raise StageCrashed("stage 'train@plate': dvc ended with status 255")

    monkeypatch.setattr(protocol_runs.SideWorkspace, "_run", crash)
    with pytest.raises(typer.Exit) as end:
        evaluate_folder(plate, Order("few-shot-10"))
    assert end.value.exit_code == 70
    assert "crashed: stage 'train@plate': dvc ended with status 255; run this again" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("order", "complaint"),
    [
        (Order("few-shot-11"), "no protocol 'few-shot-11'; there are deepcrack-localization, few-shot-10, "),
        (Order("few-shot-10", ["gan"]), "no profile 'gan'; there are dit, "),
        (Order("few-shot-10", ablations=["no-gan"]), "no ablation 'no-gan'; there are fixed-ratio, "),
        (Order("few-shot-10", ablations=["no-sff"]), "'no-sff' is of controlnet, and the generator here is inpainting"),
        (Order("few-shot-10", changes=["train.stepps=1"]), "train.stepps: unknown key"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_made(control, plate, order, complaint):
    with pytest.raises(ConfigError, match=complaint):
        evaluate_folder(plate, order)
    assert not (control.parent / ".work").exists()


def test_a_folder_without_a_product_is_told(control, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no usable product found"):
        evaluate_folder(tmp_path / "empty", Order("few-shot-10"))
