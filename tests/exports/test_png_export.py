import csv
import json

import pytest

from pipeline_tasks.exports.content import PROVENANCE
from pipeline_tasks.schema import GOOD


@pytest.fixture
def exported(version, tmp_path):
    return version.export("png", tmp_path / "out")


@pytest.fixture
def manifest(exported):
    with (exported / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_each_pair_has_its_files_byte_for_byte_and_a_row(version, exported, manifest):
    row_of = {row["pair_id"]: row for row in manifest if row["defect"] != GOOD}
    assert len(row_of) == sum(map(len, version.pairs.values()))
    for product, defect, pair in version.every_pair():
        row = row_of[pair.pair_id]
        assert row["image"] == f"images/{product}/{defect}/{pair.pair_index:06d}.png"
        assert (row["product"], row["defect"], row["split"]) == (product, defect, "train")
        assert (exported / row["image"]).read_bytes() == pair.image
        assert (exported / row["mask"]).read_bytes() == pair.mask


def test_a_row_holds_every_column_of_provenance(version, manifest):
    row_of = {row["pair_id"]: row for row in manifest}
    for _, _, pair in version.every_pair():
        row = row_of[pair.pair_id]
        for name in PROVENANCE:
            value = getattr(pair, name)
            if name == "prompt":
                assert row[name] == 'a "quoted", prompt of two lines'
            elif value is None:
                assert row[name] == ""
            else:
                assert (row[name] if isinstance(value, str) else json.loads(row[name])) == value


def test_normal_images_have_rows_that_say_what_they_are(version, exported, manifest):
    found = {(row["product"], row["normal_path"]): row for row in manifest if row["defect"] == GOOD}
    assert len(found) == 3 + 2 + 3
    for (product, split), samples in version.normals.items():
        for sample in samples:
            row = found[product, " ".join(sample.source_path.splitlines())]
            assert (exported / row["image"]).read_bytes() == sample.image
            assert row["image"].startswith(f"images/{product}/good/")
            assert (row["mask"], row["split"]) == ("", "train" if split == "base" else "test")
            assert row["normal_sha256"] == sample.sha256
            assert row["normal_derived"] == ("true" if product == "tile" else "false")


def test_what_is_ingested_again_is_the_same(version, exported, ingest_again):
    again = ingest_again(exported)
    assert again.catalog == {"plate": ["pit", "scratch"], "tile": ["pit", "stain"]}
    assert not again.set_aside
    assert again.shown() == version.shown()
    held_out = {sample.sha256 for sample in again.samples if (sample.defect, sample.split) == (GOOD, "test")}
    assert len(held_out) >= 2
