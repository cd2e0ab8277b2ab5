from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
import yaml
from typer.testing import CliRunner

from pipeline_tasks.commands.masks import masks
from pipeline_tasks.images.codec import encode_image, encode_mask
from pipeline_tasks.schema import GOOD, MaskRow, Sample
from pipeline_tasks.storage import read_rows, write_rows


def sample(name, mask=None):
    area = 0 if mask is None else int(mask.sum())
    return Sample(
        product="plate",
        defect="pit" if area else GOOD,
        split="base",
        source_path=name,
        sha256=name,
        source_bytes=1,
        width=80,
        height=60,
        mask_area_px=area,
        mask_area_fraction=area / 4800,
        derived_from=None,
        image=encode_image(np.full((60, 80, 3), 120, np.uint8)),
        mask=None if mask is None else encode_mask(mask),
    )


def pit(radius):
    return cv2.circle(np.zeros((60, 80), np.uint8), (40, 30), radius, 1, -1).astype(bool)


@pytest.fixture
def call(tmp_path, monkeypatch):
    params = yaml.safe_load((Path(__file__).parents[2] / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.command()(masks)

    def call(samples, attempts=60):
        params["masks"] |= {"pairs_per_defect": 12, "attempts": attempts}
        Path("params.yaml").write_text(yaml.safe_dump(params))
        write_rows(Path("pit.parquet"), samples, Sample)
        write_rows(Path("good.parquet"), [sample("n.png")], Sample)
        options = "--product plate --defect pit --samples pit.parquet --normals good.parquet --masks out/pit.parquet"
        return CliRunner().invoke(app, options.split())

    return call


def test_masks_are_written_and_counted(call):
    result = call([sample("a.png", pit(5)), sample("b.png", pit(8))])
    assert result.exit_code == 0, result.output
    assert "plate/pit: 12 masks from 2 real ones, refused 0" in result.output
    assert len(list(read_rows(Path("out/pit.parquet"), MaskRow))) == 12


def test_refused_pairs_are_counted_with_their_reason(call):
    result = call([sample("a.png", np.ones((60, 80), bool)), sample("b.png", pit(8))], attempts=1)
    assert result.exit_code == 0, result.output
    assert "does not reach the borders" in result.output
    made = len(list(read_rows(Path("out/pit.parquet"), MaskRow)))
    assert f"plate/pit: {made} masks from 2 real ones, refused {12 - made}, " in result.output


def test_defect_without_base_samples_gives_an_empty_table_and_a_warning(call):
    result = call([])
    assert result.exit_code == 0, result.output
    assert "warning: plate/pit has no base sample" in result.output
    assert list(read_rows(Path("out/pit.parquet"), MaskRow)) == []
