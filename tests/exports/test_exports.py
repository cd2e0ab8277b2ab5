"""What all formats have in common."""

import subprocess
import sys
import tracemalloc
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import rows

from pipeline_tasks.errors import ConfigError, DataError
from pipeline_tasks.exports import FORMATS, check, export
from pipeline_tasks.exports.content import PROVENANCE, Content, ProductContent


def files_of(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def peak_memory(work):
    """Return the most bytes that Python and Arrow held while `work` ran."""
    most = 0
    before = pa.total_allocated_bytes()

    def watched(items, *_):
        nonlocal most
        for item in items:
            most = max(most, pa.total_allocated_bytes() - before)
            yield item

    tracemalloc.start()
    try:
        work(watched)
        return most + tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", FORMATS)
def test_every_file_has_a_checksum_that_holds(version, tmp_path, name):
    out = version.export(name, tmp_path / "out")
    listed = [line.split("  ", 1)[1] for line in (out / "SHA256SUMS").read_text().splitlines()]
    assert sorted(listed) == sorted(files_of(out) - {"SHA256SUMS"})
    assert subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=out, capture_output=True).returncode == 0


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_version_gives_the_same_bytes(version, tmp_path, name):
    once, again = (version.export(name, tmp_path / out) for out in ("once", "again"))
    assert (once / "SHA256SUMS").read_bytes() == (again / "SHA256SUMS").read_bytes()


@pytest.mark.parametrize("name", FORMATS)
def test_the_card_is_there_and_says_how_to_read_the_files(version, tmp_path, name):
    card = (version.export(name, tmp_path / "out") / "README.md").read_text()
    assert "license: cc-by-4.0" in card
    assert "# Plates and tiles\n\nA card.\n\n## These files\n\n" in card
    assert FORMATS[name].reading in card


@pytest.mark.parametrize("name", FORMATS)
def test_a_damaged_table_leaves_nothing_behind(version, tmp_path, name):
    plate = version.content.products["plate"]
    (tmp_path / "damaged.parquet").write_bytes(plate.defects["pit"][0].read_bytes()[:5000])
    defects = {"pit": [*plate.defects["pit"], tmp_path / "damaged.parquet"]}
    content = Content("0123456789ab", {"plate": replace(plate, defects=defects)})
    with pytest.raises(DataError, match=r"damaged.parquet"):
        export(name, content, "A card.", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["damaged.parquet"]


@pytest.mark.parametrize("name", FORMATS)
def test_memory_does_not_grow_with_the_number_of_pairs(write_shards, tmp_path, monkeypatch, name):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    image = rows.encode_image(noise)
    check(name, tmp_path / "out")  # imports what the format needs
    peaks = []
    for count in (96, 384):
        pairs = [replace(rows.pair(index=index), width=64, height=64, image=image) for index in range(count)]
        shards = write_shards(tmp_path / f"{count}", pairs, 64)
        del pairs
        content = Content("0123456789ab", {"plate": ProductContent({"pit": shards}, [], [], "unknown")})

        def work(watched, content=content, out=tmp_path / f"out{count}"):
            monkeypatch.setattr("pipeline_tasks.exports.content.track", watched)
            export(name, content, "A card.", out)

        peaks.append(peak_memory(work))
    assert peaks[1] - peaks[0] < 288 * len(image) / 10


def test_an_unknown_format_is_told_with_those_there_are(tmp_path):
    with pytest.raises(ConfigError, match=r"--format voc: no such format; there are mvtec, coco, yolo, hf, png"):
        check("voc", tmp_path / "out")


@pytest.mark.parametrize(("name", "library"), [("coco", "pycocotools.mask"), ("hf", "datasets")])
def test_a_library_that_is_not_installed_is_told_before_anything_is_read(tmp_path, monkeypatch, name, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigError, match=rf"needs {library}, .*pip install 'defectline\[export\]'"):
        check(name, tmp_path / "out")


@pytest.mark.parametrize("name", ["mvtec", "yolo", "png"])
def test_other_formats_need_no_further_library(version, tmp_path, monkeypatch, name):
    for library in ("pycocotools", "pycocotools.mask", "datasets"):
        monkeypatch.setitem(sys.modules, library, None)
    version.export(name, tmp_path / "out")


def test_classes_are_called_as_the_defects_unless_products_share_a_name(version):
    assert list(version.content.class_names.values()) == ["plate/pit", "scratch", "tile/pit", "stain"]
    alone = Content("0123456789ab", {"plate": version.content.products["plate"]})
    assert list(alone.class_names.values()) == ["pit", "scratch"]


def test_provenance_is_every_column_but_the_pixels():
    assert {"pair_id", "seed", "normal_sha256", "backend_digest", "warp"} <= set(PROVENANCE)
    assert not {"image", "mask", "normal"} & set(PROVENANCE)
