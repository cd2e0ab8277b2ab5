from pathlib import Path

import pytest
import yaml
from rows import noisy_sample
from tiny_clip import save_tiny_clip

from pipeline_tasks.diffusion.clip_phrases import read_phrases
from pipeline_tasks.prompts import read_prompts
from pipeline_tasks.schema import Sample
from pipeline_tasks.storage import read_json, write_rows

COMMAND = ("prompts", "--product", "plate", "--base", "base", "--prompts", "out/plate.json")
TEMPLATES = {"good": "good plate", "deep_pit": "deep pit plate", "scratch": "scratch plate"}


@pytest.fixture
def semantic(defectline):
    """Runs the command for semantic prompts by the CLIP called so."""

    def run(clip):
        params = yaml.safe_load(Path("params.yaml").read_text())
        params["prompts"] |= {"kind": "semantic", "clip": str(clip), "min_gain": 0.0}
        Path("params.yaml").write_text(yaml.safe_dump(params))
        for name in ("good", "scratch", "deep_pit"):
            samples = [] if name == "good" else [noisy_sample(name, number) for number in range(2)]
            write_rows(Path(f"base/{name}.parquet"), samples, Sample)
        return defectline(*COMMAND)

    return run


def test_prompts_are_written_for_each_defect_and_for_normal_images(defectline):
    for name in ("good", "scratch", "deep_pit"):
        write_rows(Path(f"base/{name}.parquet"), [], Sample)
    ran = defectline(*COMMAND)
    assert (ran.status, ran.out) == (0, "plate: 3 prompts of defects, 0 of samples, template\n")
    assert read_json(Path("out/plate.json")) == {
        "kind": "template",
        "asked": "template",
        "reason": None,
        "clip": None,
        "defects": TEMPLATES,
        "samples": {},
        "names": None,
    }


def test_disentangled_prompts_come_with_the_names_they_are_made_of(defectline):
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["prompts"] |= {"kind": "disentangled", "names": {"plate": {"deep_pit": "hole"}}}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    for name in ("good", "scratch", "deep_pit"):
        write_rows(Path(f"base/{name}.parquet"), [], Sample)
    ran = defectline(*COMMAND)
    assert (ran.status, ran.out) == (0, "plate: 3 prompts of defects, 0 of samples, disentangled\n")
    book = read_prompts(Path("out/plate.json"))
    assert book.of("plate", "deep_pit", "") == "A photo of hole plate"
    assert book.names("plate", "deep_pit") == ("plate", "hole")
    assert book.names("plate", "good") == ("plate", "good")


def test_semantic_prompts_are_written_for_each_sample(semantic, tmp_path):
    clip = save_tiny_clip(tmp_path / "clip")
    ran = semantic(clip)
    assert (ran.status, ran.out) == (0, "plate: 3 prompts of defects, 4 of samples, semantic\n")
    found = read_json(Path("out/plate.json"))
    assert (found["kind"], found["asked"], found["reason"], found["clip"]) == ("semantic", "semantic", None, str(clip))
    assert found["defects"] == TEMPLATES
    paths = [f"base/{defect}/{number:03d}.png" for defect in ("deep_pit", "scratch") for number in (0, 1)]
    assert sorted(found["samples"]) == paths
    phrases = {phrase for category in read_phrases().values() for phrase in category}
    for path, text in found["samples"].items():
        described = text.removesuffix(" deep pit plate" if "deep_pit" in path else " scratch plate")
        assert 1 <= len(described.split(", ")) <= 3
        assert set(described.split(", ")) <= phrases
    first = Path("out/plate.json").read_bytes()
    semantic(clip)
    assert Path("out/plate.json").read_bytes() == first
    book = read_prompts(Path("out"))
    assert book.of("plate", "scratch", paths[2]) == found["samples"][paths[2]]
    assert book.of("plate", "scratch", "elsewhere.png") == "scratch plate"


def test_without_clip_the_template_is_used_and_the_reason_told(semantic):
    ran = semantic("/nowhere/clip")
    assert ran.status == 0
    reason = "prompts.clip = '/nowhere/clip': no such folder"
    assert ran.out.splitlines() == [
        "plate: 3 prompts of defects, 0 of samples, template",
        f"warning: plate: no semantic prompts, the template's are used: {reason}",
        "once CLIP's weights are there: dvc repro --force --single-item prompts@plate, then refresh",
    ]
    found = read_json(Path("out/plate.json"))
    assert (found["kind"], found["asked"], found["reason"], found["clip"]) == ("template", "semantic", reason, None)
    assert (found["defects"], found["samples"]) == (TEMPLATES, {})


def test_a_damaged_clip_is_an_error(semantic, tmp_path):
    clip = save_tiny_clip(tmp_path / "clip")
    (clip / "model.safetensors").write_bytes(b"no weights")
    ran = semantic(clip)
    assert ran.status == 1
    assert "not a usable CLIP model" in ran.err
    assert not Path("out").exists()


def test_missing_samples_are_named(defectline):
    ran = defectline(*COMMAND)
    assert ran.status == 1
    assert ran.err == "error: base: no samples; run `dvc repro` to make them or `dvc pull` to fetch them\n"
    assert not Path("out").exists()
