from pathlib import Path

from pipeline_tasks.schema import Sample
from pipeline_tasks.storage import read_json, write_rows


def test_prompts_are_written_for_each_defect_but_not_for_normal_images(defectline):
    for name in ("good", "scratch", "deep_pit"):
        write_rows(Path(f"base/{name}.parquet"), [], Sample)
    ran = defectline("prompts", "--product", "plate", "--base", "base", "--prompts", "out/plate.json")
    assert (ran.status, ran.out) == (0, "plate: 2 prompts\n")
    assert read_json(Path("out/plate.json")) == {"deep_pit": "deep pit plate", "scratch": "scratch plate"}


def test_missing_samples_are_named(defectline):
    ran = defectline("prompts", "--product", "plate", "--base", "base", "--prompts", "out/plate.json")
    assert ran.status == 1
    assert ran.err == "error: base: no samples; run `dvc repro` to make them or `dvc pull` to fetch them\n"
    assert not Path("out").exists()
