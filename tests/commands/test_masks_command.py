import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
import yaml
from rows import sample
from tiny_base import save_tiny_pipeline
from typer.testing import CliRunner

from pipeline_tasks.commands.masks import masks
from pipeline_tasks.diffusion.weights import describe
from pipeline_tasks.errors import ConfigError, DefectlineError
from pipeline_tasks.schema import GOOD, MaskRow, Sample
from pipeline_tasks.storage import read_json, read_rows, write_rows


def real(name, mask):
    return sample("pit", pixels=np.full((60, 80, 3), 120, np.uint8), mask=mask, source_path=name)


def pit(radius):
    return cv2.circle(np.zeros((60, 80), np.uint8), (40, 30), radius, 1, -1).astype(bool)


@pytest.fixture
def call(tmp_path, monkeypatch):
    params = yaml.safe_load((Path(__file__).parents[2] / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.command()(masks)

    def call(samples, attempts=60, backend="inpainting", source="plate", **masks):
        params["backend"] |= {"name": backend, "resolution_px": 64}
        params["prompts"]["kind"] = "disentangled" if backend == "dit" else "template"
        params["masks"] |= {"pairs_per_defect": 12, "reserve_fraction": 0.0, "attempts": attempts, "device": "cpu"}
        params["masks"] |= masks
        Path("params.yaml").write_text(yaml.safe_dump(params))
        write_rows(Path("pit.parquet"), samples, Sample)
        write_rows(
            Path("good.parquet"),
            [sample(GOOD, pixels=np.full((60, 80, 3), 120, np.uint8), source_path="n.png")],
            Sample,
        )
        options = f"--product plate --defect pit --source {source} --samples pit.parquet --normals good.parquet"
        options += (
            f" --pretrained pretrained --prompts {source}.json --masks out/pit.parquet --refused out/pit.refused.json"
        )
        return CliRunner().invoke(app, options.split())

    return call


def test_masks_are_written_and_counted(call):
    result = call([real("a.png", pit(5)), real("b.png", pit(8))])
    assert result.exit_code == 0, result.output
    assert "plate/pit: 12 masks (12 asked for, 0 in reserve) from 2 real ones, refused 0" in result.output
    rows = list(read_rows(Path("out/pit.parquet"), MaskRow))
    assert len(rows) == 12
    interpolated = sum(row.kind == "image" for row in rows)
    area = (pit(5).mean() + pit(8).mean()) / 2
    assert f"{interpolated} x image (mean area {area:.2%} < tau 5.30%)" in result.output


def test_zero_shot_masks_need_no_table_of_such_defects_of_the_product(call):
    """There are but the source's defects and the product's normal images."""
    result = call([real("a.png", pit(5)), real("b.png", pit(8))], backend="dit", source="tile")
    assert result.exit_code == 0, result.output
    rows = list(read_rows(Path("out/pit.parquet"), MaskRow))
    assert {(row.product, row.source, row.normal_path) for row in rows} == {("plate", "tile", "n.png")}
    assert {path.name for path in Path().rglob("*.parquet")} == {"pit.parquet", "good.parquet"}


def test_zero_shot_masks_with_another_backend_name_the_key(call):
    result = call([real("a.png", pit(5))], backend="controlnet", source="tile")
    assert isinstance(result.exception, ConfigError)
    assert "'pit' on 'plate' is learned on 'tile', which controlnet cannot: set backend.name" in str(result.exception)


@pytest.mark.parametrize(("backend", "source"), [("controlnet", "plate"), ("dit", "plate"), ("dit", "tile")])
def test_latent_masks_come_from_the_pretrained_model(call, tmp_path, backend, source):
    folder = save_tiny_pipeline(tmp_path / "pretrained")
    described = describe(folder)
    (folder / "pretrained.json").write_text(json.dumps({"source": "scratch", "revision": None} | described))
    Path(f"{source}.json").write_text(json.dumps({"defects": {"pit": f"pit {source}"}, "samples": {}}))
    samples = [real("a.png", pit(5)), real("b.png", pit(8))]
    result = call(samples, attempts=1, backend=backend, source=source, kind="latent", latent_steps=1)
    assert result.exit_code == 0, result.output
    rows = list(read_rows(Path("out/pit.parquet"), MaskRow))
    assert f"{len(rows)} masks (12 asked for, 0 in reserve) from 2 real ones, refused" in result.output
    assert {row.kind for row in rows} <= {"latent", "transformed"}


def test_latent_masks_without_the_model_say_what_is_missing(call):
    Path("plate.json").write_text(json.dumps({"defects": {"pit": "pit plate"}, "samples": {}}))
    result = call([real("a.png", pit(5)), real("b.png", pit(8))], backend="controlnet", kind="latent")
    assert isinstance(result.exception, DefectlineError)
    assert "pretrained" in str(result.exception)
    assert not Path("out/pit.parquet").exists()


def test_latent_masks_with_another_backend_name_the_key(call):
    result = call([real("a.png", pit(5)), real("b.png", pit(8))], kind="latent")
    assert isinstance(result.exception, ConfigError)
    assert "set backend.name to controlnet or dit" in str(result.exception)


def test_refused_pairs_are_counted_with_their_reason_and_made_up_for(call):
    everywhere = np.ones((60, 80), bool)
    result = call([real("a.png", everywhere), real("b.png", pit(8))], attempts=1, reserve_fraction=0.25)
    assert result.exit_code == 0, result.output
    assert len(list(read_rows(Path("out/pit.parquet"), MaskRow))) == 15
    account = read_json(Path("out/pit.refused.json"))
    refused, reason = account["refused"], "does not reach the borders its parent runs out of"
    assert (account["asked"], account["reserve"], account["made"]) == (12, 3, 15) and refused[reason] > 0
    assert f"plate/pit: 15 masks (12 asked for, 3 in reserve) from 2 real ones, refused {sum(refused.values())}, " in (
        result.output
    )
    assert f"{refused[reason]} x {reason}" in result.output and "warning" not in result.output


def test_a_defect_short_of_masks_is_told(call):
    result = call([real("a.png", np.ones((60, 80), bool))], attempts=1)
    assert result.exit_code == 0, result.output
    made, account = len(list(read_rows(Path("out/pit.parquet"), MaskRow))), read_json(Path("out/pit.refused.json"))
    assert made == account["made"] < 12 and sum(account["refused"].values()) == 36 - made
    assert f"warning: plate/pit: {12 - made} masks fewer than asked for, so many were refused" in result.output


def test_defect_without_base_samples_gives_an_empty_table_and_a_warning(call):
    result = call([])
    assert result.exit_code == 0, result.output
    assert "warning: plate/pit has no base sample" in result.output
    assert list(read_rows(Path("out/pit.parquet"), MaskRow)) == []
    assert read_json(Path("out/pit.refused.json")) == {"asked": 12, "reserve": 0, "made": 0, "refused": {}}
