import socket
from dataclasses import fields

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from pipeline_tasks.exports import hf
from pipeline_tasks.images.codec import decode_image, decode_mask
from pipeline_tasks.schema import PIXEL_COLUMNS, Pair


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Loads a folder as users do, on a machine without a network."""

    def refuse(*_):
        raise OSError("no network here")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return lambda folder: datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def exported(version, tmp_path_factory):
    return version.export("hf", tmp_path_factory.mktemp("hf") / "out")


def test_it_loads_with_every_column_of_every_pair(version, exported, load):
    loaded = load(exported)
    pairs = [pair for *_, pair in version.every_pair()]
    assert len(loaded) == len(pairs)
    assert loaded.column_names == [field.name for field in fields(Pair)]
    for row, pair in zip(loaded, pairs, strict=True):
        assert (np.asarray(row["image"]) == decode_image(pair.image)).all()
        assert (np.asarray(row["mask"]) == decode_mask(pair.mask) * 255).all()
        assert {n: row[n] for n in row if n not in PIXEL_COLUMNS} == {
            field.name: getattr(pair, field.name) for field in fields(Pair) if field.name not in PIXEL_COLUMNS
        }
        assert (row["normal"] is None) == (pair.normal is None)


def test_the_png_bytes_are_those_of_the_version(version, exported, load):
    raw, stored = load(exported), datasets.Image(decode=False)
    raw = raw.cast_column("image", stored).cast_column("mask", stored)
    for row, (product, defect, pair) in zip(raw, version.every_pair(), strict=True):
        name = f"{product}-{defect}-{pair.pair_index:06d}.png"
        assert row["image"] == {"bytes": pair.image, "path": name}
        assert row["mask"] == {"bytes": pair.mask, "path": name}


def test_the_features_are_in_the_schema_and_not_guessed(exported, load):
    (file,) = (exported / "data").iterdir()
    assert file.name == "train-00000-of-00001.parquet"
    features = datasets.Features.from_arrow_schema(pq.read_schema(file))
    assert load(exported).features == features
    assert {name for name, kind in features.items() if isinstance(kind, datasets.Image)} == {"image", "mask", "normal"}
    assert features["warp"] == datasets.List(datasets.Value("float64"))
    assert features["defect"] == datasets.Value("string")


def test_it_is_cut_into_files_of_about_one_size(version, tmp_path, load, monkeypatch):
    monkeypatch.setattr(hf, "SHARD_BYTES", version.content.size_bytes // 3 + 1)
    out = version.export("hf", tmp_path / "cut")
    names = sorted(path.name for path in (out / "data").iterdir())
    assert names == [f"train-{number:05d}-of-00003.parquet" for number in range(3)]
    assert [pq.ParquetFile(out / "data" / name).metadata.num_rows for name in names] == [12, 12, 12]
    assert load(out)["pair_id"] == [pair.pair_id for *_, pair in version.every_pair()]


def test_data_sets_of_other_products_can_be_joined_and_then_numbered(version, tmp_path, load):
    """What a ClassLabel would not let them: its lists of names differ."""
    parts = []
    for product, tables in version.content.products.items():
        alone = version._replace(content=type(version.content)("0123456789ab", {product: tables}))
        parts.append(load(alone.export("hf", tmp_path / product)))
    joined = datasets.concatenate_datasets(parts)
    assert joined.class_encode_column("defect").features["defect"].names == ["pit", "scratch", "stain"]
    with pytest.raises(ValueError, match="features"):
        datasets.concatenate_datasets([part.class_encode_column("defect") for part in parts])


def test_the_card_names_the_files_and_keeps_what_it_said(exported):
    _, front, text = (exported / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(front) == {
        "license": "cc-by-4.0",
        "pretty_name": "Plates and tiles",
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*.parquet"}]}],
    }
    assert text.startswith("# Plates and tiles")


def test_a_card_without_a_front_gets_one():
    assert hf.front_matter("# A card\n").endswith("data/train-*.parquet\n---\n# A card\n")
