import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from pipeline_tasks.exports.content import PROVENANCE
from pipeline_tasks.images.codec import decode_mask

RLE, POLYGONS = "instances.json", "instances_polygons.json"


@pytest.fixture(scope="module")
def exported(version, tmp_path_factory):
    return version.export("coco", tmp_path_factory.mktemp("coco") / "out")


@pytest.fixture(params=[RLE, POLYGONS])
def coco(exported, request):
    return COCO(exported / "annotations" / request.param)


def pieces_by_flood(mask):
    """Return how many 8-connected pieces there are, by filling them one after the other."""
    left, count = set(zip(*np.nonzero(mask), strict=True)), 0
    while left:
        count, ahead = count + 1, [left.pop()]
        while ahead:
            y, x = ahead.pop()
            near = {(y + down, x + right) for down in (-1, 0, 1) for right in (-1, 0, 1)} & left
            left -= near
            ahead += near
    return count


def test_each_image_is_there_byte_for_byte(version, exported, coco):
    images = {image["provenance"]["pair_id"]: image for image in coco.dataset["images"]}
    assert len(images) == len(coco.imgs) == sum(map(len, version.pairs.values()))
    for product, defect, pair in version.every_pair():
        image = images[pair.pair_id]
        assert image["file_name"] == f"images/{product}/{defect}/{pair.pair_index:06d}.png"
        assert (exported / image["file_name"]).read_bytes() == pair.image
        assert (image["width"], image["height"]) == (pair.width, pair.height)


def test_the_instances_give_exactly_the_mask_and_each_pixel_once(version, coco):
    """Of polygons too: they run along the edges of pixels, and pycocotools fills them at pixel centres."""
    for number, (*_, pair) in enumerate(version.every_pair(), start=1):
        expected = decode_mask(pair.mask)
        instances = coco.loadAnns(coco.getAnnIds(imgIds=[number]))
        assert len(instances) == pieces_by_flood(expected)
        assert (np.sum([coco.annToMask(instance) for instance in instances], axis=0) == expected).all()


def test_each_instance_says_where_and_how_large_it_is(coco):
    for instance in coco.dataset["annotations"]:
        mask = coco.annToMask(instance)
        rows, columns = np.nonzero(mask)
        corner = columns.min(), rows.min()
        assert instance["bbox"] == [*corner, columns.max() + 1 - corner[0], rows.max() + 1 - corner[1]]
        assert instance["area"] == mask.sum()
        assert instance["iscrowd"] == 0
        assert set(instance) == {"id", "image_id", "category_id", "segmentation", "area", "bbox", "iscrowd"}
    assert sorted(coco.anns) == list(range(1, len(coco.anns) + 1))


def test_polygons_lie_in_the_image_and_rle_is_compressed(exported):
    polygons, runs = (COCO(exported / "annotations" / name) for name in (POLYGONS, RLE))
    for instance in polygons.dataset["annotations"]:
        (outline,) = instance["segmentation"]
        image = polygons.imgs[instance["image_id"]]
        assert min(outline) >= 0
        assert max(outline[::2]) <= image["width"]
        assert max(outline[1::2]) <= image["height"]
        assert len(outline) >= 8
    assert all(isinstance(instance["segmentation"]["counts"], str) for instance in runs.dataset["annotations"])
    without = [
        [{name: one[name] for name in one if name != "segmentation"} for one in data.dataset["annotations"]]
        for data in (polygons, runs)
    ]
    assert without[0] == without[1]


def test_categories_are_defects_and_their_products_above_them(version, coco):
    kinds = coco.loadCats(coco.getCatIds())
    assert [(kind["id"], kind["name"], kind["supercategory"]) for kind in kinds] == [
        (1, "plate/pit", "plate"),
        (2, "scratch", "plate"),
        (3, "tile/pit", "tile"),
        (4, "stain", "tile"),
    ]
    for at, name in {("plate", "pit"): "plate/pit", ("tile", "stain"): "stain"}.items():
        assert len(coco.getImgIds(catIds=coco.getCatIds(catNms=[name]))) == len(version.pairs[at])


def test_each_image_says_how_it_was_made_and_under_which_licence(version, coco):
    licences = {licence["id"]: licence["name"] for licence in coco.dataset["licenses"]}
    assert licences == {1: "CC-BY-4.0", 2: "unknown"}
    for image, (product, _, pair) in zip(coco.dataset["images"], version.every_pair(), strict=True):
        assert image["provenance"] == {name: getattr(pair, name) for name in PROVENANCE}
        assert licences[image["license"]] == {"plate": "CC-BY-4.0", "tile": "unknown"}[product]
    assert coco.dataset["info"]["version"] == "0123456789ab"


def test_it_is_strict_json(exported):
    def refuse(constant):
        raise ValueError(constant)

    for name in (RLE, POLYGONS):
        json.loads((exported / "annotations" / name).read_text(), parse_constant=refuse)
    assert sorted(path.name for path in exported.iterdir()) == ["README.md", "SHA256SUMS", "annotations", "images"]
