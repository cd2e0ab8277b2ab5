"""The prior's repository from its parameters to the package and MLflow, on a network that is trained in a moment."""

import json
import os
import subprocess

import pytest
from mlflow import MlflowClient
from prior_project import make_prior_project
from tiny_project import call, own_environment

from pipeline_tasks.inpainting.prior_files import read_prior
from pipeline_tasks.lineage.lock import md5_of

FILES = ["README.md", "config.json", "diffusion_pytorch_model.fp16.safetensors", "prior.json"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = make_prior_project(tmp_path_factory.mktemp("prior") / "project")
    call(root / "prior", "dvc", "repro", "--quiet")
    return root


def run_refused(root, *command):
    """Run a command that must fail, and return what it says."""
    environment = {**os.environ, **own_environment(root)}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr


def stages(folder):
    return set(call(folder, "dvc", "stage", "list", "--name-only").split())


@pytest.fixture(scope="module")
def shipped(project):
    """What is said on shipping for the first time, and again."""
    return [call(project, "defectline", "prior", "ship") for _ in range(2)]


def test_its_stages_are_a_repository_of_their_own(project):
    assert stages(project / "prior") == {"look", "train", "measure", "card"}
    outer = stages(project)
    assert "train@plate" in outer and not outer & {"look", "train", "measure", "card"}
    assert call(project / "prior", "dvc", "status").startswith("Data and pipelines are up to date.")
    assert not {"prior/model", "prior/look.png"} & set(
        call(project, "git", "ls-files", "-o", "--exclude-standard").split()
    )


def test_what_ships_is_what_dvc_made_and_does_not_make_it_stale(project, shipped):
    place = project / "pipeline_tasks/inpainting/shipped"
    assert sorted(file.name for file in place.iterdir()) == FILES
    for name in FILES:
        made = project / "prior" / ("README.md" if name == "README.md" else f"model/{name}")
        assert md5_of(place / name) == md5_of(made)
    assert call(project / "prior", "dvc", "status").startswith("Data and pipelines are up to date.")


def test_it_is_one_run_in_mlflow(project, shipped):
    assert "\nlogged: defectline-prior" in shipped[0] and "\nalready logged: defectline-prior" in shipped[1]
    client = MlflowClient(own_environment(project)["MLFLOW_TRACKING_URI"])
    (run,) = client.search_runs([client.get_experiment_by_name("defectline-prior").experiment_id])
    metrics = json.loads((project / "prior/metrics.json").read_text())
    assert run.data.params["train.blocks.batch_size"] == "4"
    assert run.data.metrics["held_out/loss"] == pytest.approx(metrics["loss"])
    assert {f"held_out/texture/{name}" for name in metrics["texture"]} < run.data.metrics.keys()
    assert [point.step for point in client.get_metric_history(run.info.run_id, "train/loss")] == [0, 1, 2]
    logged = [file.path for file in client.list_artifacts(run.info.run_id)]
    assert logged == sorted([*FILES, "look.png", "metrics.json", "params.yaml", "training.json"])


def test_the_package_has_a_prior_that_pretrain_finds(project, shipped):
    place = project / "pipeline_tasks/inpainting/shipped"
    code = (
        "import json; from pipeline_tasks.inpainting.initial import found_prior;print(json.dumps(found_prior('prior')))"
    )
    card = json.loads(call(project, "python", "-c", code))
    assert (card["source"], card["digest"]) == ("prior", read_prior(place)["digest"])


def test_the_card_tells_what_it_is_made_of(project):
    card = " ".join((project / "prior/README.md").read_text().split())
    prior = read_prior(project / "prior/model")
    for told in (
        "license: apache-2.0",
        f"digest `{prior['digest']}`",
        "Drawn scenes alone: 9 procedurally drawn surfaces",
        "No photograph",
        "training: 3 steps",
        "a CPU, threads: 1",
        "windows of 32 and 64 px",
    ):
        assert told in card


def test_what_is_not_up_to_date_does_not_ship(project, shipped):
    before = read_prior(project / "pipeline_tasks/inpainting/shipped")
    params = project / "prior/params.yaml"
    text = params.read_text()
    params.write_text(text.replace("steps: 3", "steps: 4"))
    try:
        told = run_refused(project, "defectline", "prior", "ship")
    finally:
        params.write_text(text)
    assert "error: prior: not up to date: train" in told and "run `make prior`" in told
    assert read_prior(project / "pipeline_tasks/inpainting/shipped") == before
