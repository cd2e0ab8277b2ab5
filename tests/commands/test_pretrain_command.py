import json
import subprocess
import sys

import numpy as np
import pytest
import yaml
from settings import CPU, TINY_BASE
from tiny_prior import write_prior

from pipeline_tasks.images.codec import encode_image, encode_mask
from pipeline_tasks.inpainting.prior_files import read_prior
from pipeline_tasks.schema import GOOD, Sample
from pipeline_tasks.storage import write_json, write_rows

SMALL = {
    "backend": {"name": "controlnet", "resolution_px": 32},
    "pretrain": {**TINY_BASE, **CPU, "unet_steps": 3, "checkpoint_every_steps": 1},
}


@pytest.fixture
def project(defectline, tmp_path):
    rng = np.random.default_rng(0)
    plain = rng.integers(100, 120, (48, 48, 3)).astype(np.uint8)
    mask = np.zeros((48, 48), bool)
    mask[20:24, 10:30] = True
    marked = np.where(mask[..., None], np.uint8(30), plain)

    def sample(name, defect, pixels, png):
        centre = (None, None) if png is None else (20 / 48, 22 / 48)
        return Sample(
            "p", defect, "base", name, "0" * 64, 1, 48, 48, 80, 0.03, *centre, None, None, encode_image(pixels), png
        )

    write_rows(tmp_path / "base/p/pit.parquet", [sample("pit.png", "pit", marked, encode_mask(mask))], Sample)
    goods = [sample(f"{i}.png", GOOD, plain, None) for i in range(2)]
    write_rows(tmp_path / f"base/p/{GOOD}.parquet", goods, Sample)
    write_json(tmp_path / "prompts/p.json", {"defects": {"pit": "pit p", GOOD: "good p"}, "samples": {}})
    return tmp_path


def configure(project, **sections):
    params = yaml.safe_load((project / "params.yaml").read_text())
    for name, values in sections.items():
        params[name] |= values
    (project / "params.yaml").write_text(yaml.safe_dump(params))


def pretrain(defectline, project):
    return defectline(
        "pretrain", "--generator", "all", "--base", project / "base", "--prompts", project / "prompts",
        "--pretrained", project / "out",
    )  # fmt: skip


def card(project):
    return json.loads((project / "out/pretrained.json").read_text())


def pretrain_without_torch(project):
    code = (
        "import sys; from pathlib import Path; from pipeline_tasks.commands.pretrain import pretrain;"
        "pretrain('all', Path('base'), Path('prompts'), Path('out'));"
        "assert not {'torch', 'diffusers', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=project, check=True)
    assert [file.name for file in (project / "out").iterdir()] == ["pretrained.json"]


@pytest.mark.parametrize(("backend", "init"), [("inpainting", "scratch"), ("paste", "prior")])
def test_a_generator_without_a_base_model_gets_an_empty_card(project, backend, init):
    configure(project, backend={"name": backend}, train={"init": init})
    pretrain_without_torch(project)
    assert card(project) == {"source": "none", "revision": None, "files": {}, "digest": "", "codec_psnr_db": None}


def test_a_prior_is_recorded_not_copied(project):
    prior = write_prior(project / "its prior")
    configure(project, backend={"name": "inpainting"}, train={"init": "its prior"})
    pretrain_without_torch(project)
    found = read_prior(prior)
    about = {"files": found["files"], "digest": found["digest"]}
    assert card(project) == {"source": "its prior", "revision": None, "codec_psnr_db": None} | about


def test_a_prior_that_is_not_there_ends_with_a_message(defectline, project):
    configure(project, backend={"name": "inpainting"}, train={"init": "./nowhere"})
    ran = pretrain(defectline, project)
    assert ran.status == 1 and "nowhere: no such folder" in ran.err and "train.init" in ran.err


def test_trains_from_scratch_states_the_psnr_and_cleans_up(defectline, project):
    configure(project, **SMALL)
    ran = pretrain(defectline, project)
    assert ran.status == 0 and f"{card(project)['codec_psnr_db']:.1f} dB" in ran.out
    assert (project / "out/model_index.json").is_file() and not (project / ".work/pretrain/all").exists()


def test_a_killed_training_resumes_and_gives_the_same_files(defectline, project, monkeypatch):
    from pipeline_tasks.diffusion.unet_training import Denoiser
    from pipeline_tasks.storage import content_digest

    configure(project, **SMALL)
    pretrain(defectline, project)
    whole = content_digest(project / "out")
    loss, calls = Denoiser.loss, []

    def killed(*args):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return loss(*args)

    with monkeypatch.context() as patch:
        patch.setattr(Denoiser, "loss", killed)
        assert pretrain(defectline, project).status != 0
    assert len(list((project / ".work").rglob("*.safetensors"))) == 1
    resumed = []
    monkeypatch.setattr(Denoiser, "loss", lambda *args: (resumed.append(1), loss(*args))[1])
    pretrain(defectline, project)
    assert len(resumed) == 1 and content_digest(project / "out") == whole


def test_a_pretrained_folder_is_recorded_not_copied(defectline, project):
    from tiny_base import save_tiny_pipeline

    folder = save_tiny_pipeline(project / "tiny")
    configure(project, backend={"name": "controlnet", "pretrained": str(folder)})
    assert pretrain(defectline, project).status == 0
    assert card(project)["source"] == str(folder) and len(card(project)["files"]) > 5
    assert [file.name for file in (project / "out").iterdir()] == ["pretrained.json"]


def test_weights_that_are_not_there_end_with_a_message(defectline, project):
    configure(project, backend={"name": "controlnet", "pretrained": "./nowhere"})
    ran = pretrain(defectline, project)
    assert ran.status == 1 and "./nowhere': no such folder" in ran.err
