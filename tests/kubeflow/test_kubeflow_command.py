"""`defectline kubeflow compile` where it refuses; kfp is not needed for that."""

import subprocess
import sys

import pytest

IMAGES = ("--image-cpu", "cpu", "--image-gpu", "gpu")
ALL = (*IMAGES, "--remote", "s3://bucket/dvc", "--repository", "https://git.example.org/defects.git")


@pytest.fixture
def refused(defectline_here, tiny_pipeline, monkeypatch):
    """Compiles, which must be refused, without kfp; returns the reason."""
    monkeypatch.setitem(sys.modules, "kfp", None)

    def run(*arguments):
        ran = defectline_here("kubeflow", "compile", *arguments)
        assert (ran.status, ran.out) == (1, "")
        assert not list(tiny_pipeline.glob("*.yaml")) or not (tiny_pipeline / "out.yaml").exists()
        return ran.err

    return run


def test_without_kfp_it_says_where_kfp_belongs(refused):
    told = refused("out.yaml", *ALL)
    assert "the extra `kubeflow` has an environment of its own" in told
    assert "make .venv-kubeflow/installed" in told


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--repository", "https://somebody:secret@git.example.org/defects.git"),
        ("--repository", "https://token@git.example.org/defects.git"),
        ("--remote", "s3://key:secret@bucket/dvc"),
        ("--mlflow", "postgresql://mlflow:secret@database/mlflow"),
    ],
)
def test_credentials_are_refused(refused, option, value):
    told = refused("out.yaml", *ALL, option, value)
    assert told.startswith(f"error: {option}: it has credentials")
    assert "secret@" not in told
    assert "token" not in told


def test_the_user_of_an_ssh_address_is_no_credential(refused):
    assert "kfp" in refused("out.yaml", *ALL, "--repository", "ssh://git@git.example.org/defects.git")


def test_the_repository_is_that_of_origin(refused, tiny_pipeline):
    given = (*IMAGES, "--remote", "s3://bucket/dvc")
    assert "name the repository: --repository URL" in refused("out.yaml", *given)
    origin = ["git", "remote", "add", "origin", "git@git.example.org:defects.git"]
    subprocess.run(origin, cwd=tiny_pipeline, check=True)
    assert "kfp" in refused("out.yaml", *given)


@pytest.mark.parametrize(
    ("option", "value", "form"),
    [
        ("--secret", "store", "NAME:KEY,KEY"),
        ("--secret", ":AWS_ACCESS_KEY_ID", "NAME:KEY,KEY"),
        ("--gpu-node", "pool", "KEY=VALUE"),
    ],
)
def test_a_setting_of_another_form_is_refused(refused, option, value, form):
    assert refused("out.yaml", *ALL, option, value) == f"error: {option}: '{value}' is not of the form {form}\n"


def test_a_file_of_another_kind_is_refused(refused):
    assert "name it out.yaml" in refused("out.json", *ALL)


@pytest.mark.parametrize("gone", ["--image-cpu", "--image-gpu", "--remote"])
def test_what_has_no_default_must_be_said(defectline_here, tiny_pipeline, gone):
    place = ALL.index(gone)
    ran = defectline_here("kubeflow", "compile", "out.yaml", *ALL[:place], *ALL[place + 2 :])
    assert ran.status == 2
    assert gone in ran.err
