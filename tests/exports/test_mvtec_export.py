from pathlib import Path

import numpy as np
import pytest

from pipeline_tasks.exports.content import Content
from pipeline_tasks.schema import GOOD


@pytest.fixture
def exported(version, tmp_path):
    return version.export("mvtec", tmp_path / "out")


def anomalib_samples(root, category):
    """Return (split, label, image, mask) as anomalib 2's make_mvtec_ad_dataset does: both sorted, in turn."""
    folder = Path(root) / category
    found = [file.parts[-3:] for file in folder.glob("**/*") if file.suffix in (".png", ".PNG")]
    found = [(split, label, f"{folder}/{split}/{label}/{name}") for split, label, name in found]
    masks = sorted(image for split, _, image in found if split == "ground_truth")
    images = sorted((sample for sample in found if sample[0] != "ground_truth"), key=lambda sample: sample[2])
    abnormal = [sample for sample in images if sample[0] == "test" and sample[1] != "good"]
    mask_of = dict(zip((image for *_, image in abnormal), masks, strict=True))
    for image, mask in mask_of.items():
        assert Path(image).stem in Path(mask).stem, "anomalib's MisMatchError"
    mask_of = {image: Path(mask) for image, mask in mask_of.items()}
    return [(split, label, Path(image), mask_of.get(image)) for split, label, image in images]


@pytest.mark.parametrize("product", ["plate", "tile"])
def test_anomalib_finds_each_image_with_its_mask(version, exported, product):
    found = anomalib_samples(exported, product)
    counts = {kind: sum((split, label) == kind for split, label, *_ in found) for kind in {s[:2] for s in found}}
    pairs = {("test", defect): len(made) for (p, defect), made in version.pairs.items() if p == product}
    normals = {("train", GOOD): 3, ("test", GOOD): 2} if product == "plate" else {("train", GOOD): 3}
    assert counts == pairs | normals
    for split, label, image, mask in found:
        if label != GOOD:
            pair = version.pairs[product, label][int(image.stem)]
            assert (image.read_bytes(), mask.read_bytes()) == (pair.image, pair.mask)
        else:
            base = "base" if split == "train" else "test"
            assert mask is None
            assert image.read_bytes() in [sample.image for sample in version.normals[product, base]]


def test_normal_images_lie_below_the_folder_whatever_they_are_called(exported, tmp_path):
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    names = sorted(path.name for path in (exported / "plate" / "train" / "good").iterdir())
    assert [name.split("-")[0] for name in names] == ["000", "000", "x_y"]


def test_what_is_ingested_again_is_the_same(version, exported, ingest_again):
    again = ingest_again(exported)
    assert again.catalog == {"plate": ["pit", "scratch"], "tile": ["pit", "stain"]}
    assert again.set_aside == []
    assert again.shown() == version.shown()
    assert any(sample.group for sample in again.samples), "pairs on one normal image are near-duplicates"


def test_one_product_is_found_below_the_folder_and_as_a_folder(version, tmp_path, ingest_again):
    alone = version._replace(content=Content("0123456789ab", {"plate": version.content.products["plate"]}))
    out = alone.export("mvtec", tmp_path / "alone")
    for folder in (out, out / "plate"):
        again = ingest_again(folder)
        assert again.catalog == {"plate": ["pit", "scratch"]}
        assert len(again.samples) == 14 + 5
        assert again.set_aside == []


def test_no_folder_of_held_out_images_where_there_are_none(exported):
    assert sorted(path.name for path in (exported / "tile" / "test").iterdir()) == ["pit", "stain"]
    assert np.all([path.is_dir() for path in (exported / "plate" / "test").iterdir()])
