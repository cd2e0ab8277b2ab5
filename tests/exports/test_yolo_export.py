import cv2
import numpy as np
import pytest
import yaml

from pipeline_tasks.exports.outlines import pieces
from pipeline_tasks.exports.yolo import _learned
from pipeline_tasks.images.codec import decode_mask

INPUT_PX = 640
"""What ultralytics scales the longer side of an image to."""


@pytest.fixture(scope="module")
def exported(version, tmp_path_factory):
    return version.export("yolo", tmp_path_factory.mktemp("yolo") / "out")


@pytest.fixture
def settings(exported):
    return yaml.safe_load((exported / "data.yaml").read_text())


def read_labels(file):
    """Return (class, corners [n, 2] as shares) of each line, as ultralytics' verify_image_label reads and refuses."""
    lines = [line.split() for line in file.read_text().strip().splitlines()]
    assert lines
    assert all(len(line) > 6 and len(line) % 2 for line in lines), "a class and at least three corners"
    found = [(int(line[0]), np.array(line[1:], np.float32).reshape(-1, 2)) for line in lines]
    assert all(corners.min() >= 0 and corners.max() <= 1 for _, corners in found)
    boxes = {(number, *corners.min(axis=0), *corners.max(axis=0)) for number, corners in found}
    assert len(boxes) == len(found), "ultralytics removes lines of one class and box"
    return found


def as_ultralytics_fills(labels, height, width):
    """Return the mask of labels as its polygons2masks makes it: corners cut to whole pixels, lines filled too."""
    mask = np.zeros((height, width), np.uint8)
    for _, corners in labels:
        cv2.fillPoly(mask, [np.int32(corners * [width, height])], 1)
    return mask.astype(bool)


def at_centres(labels, height, width):
    """Return the mask of labels by the even-odd rule at pixel centres, of corners that need not be whole."""
    mask = np.zeros((height, width), int)
    for _, corners in labels:
        ends = corners * [width, height]
        for (x, y0), (_, y1) in zip(ends, np.roll(ends, -1, axis=0), strict=True):
            rows = (np.arange(height) + 0.5 > min(y0, y1)) & (np.arange(height) + 0.5 < max(y0, y1))
            mask += rows[:, None] & (np.arange(width) + 0.5 > x)
    return mask % 2 == 1


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


def located(version, exported):
    """Yield (pair, split, class name, image, labels) of every pair."""
    names = yaml.safe_load((exported / "data.yaml").read_text())["names"]
    for product, defect, pair in version.every_pair():
        (image,) = exported.glob(f"images/*/{product}-{defect}-{pair.pair_index:06d}.png")
        labels = read_labels(exported / "labels" / image.parent.name / f"{image.stem}.txt")
        (number,) = {number for number, _ in labels}
        yield pair, image.parent.name, names[number], image, labels


def test_each_image_is_there_byte_for_byte_with_a_label_for_each_piece(version, exported):
    kinds = version.content.class_names
    for pair, _, name, image, labels in located(version, exported):
        assert image.read_bytes() == pair.image
        assert len(labels) == len(pieces(decode_mask(pair.mask)))
        assert name == kinds[pair.product, pair.defect]
    assert len(list(exported.glob("labels/*/*"))) == len(list(exported.glob("images/*/*"))) == 36


def test_the_outlines_give_exactly_the_mask_at_pixel_centres(version, exported):
    """Six digits are enough for that."""
    for pair, *_, labels in located(version, exported):
        assert (at_centres(labels, pair.height, pair.width) == decode_mask(pair.mask)).all()


def test_what_ultralytics_trains_on_is_the_mask_and_at_most_a_pixel_around_it(version, exported):
    found = []
    for pair, *_, labels in located(version, exported):
        scale = INPUT_PX / max(pair.height, pair.width)
        size = round(pair.width * scale), round(pair.height * scale)
        expected = cv2.resize(decode_mask(pair.mask).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        filled = as_ultralytics_fills(labels, *size[::-1])
        around = cv2.dilate(expected, np.ones((5, 5), np.uint8))
        assert not (filled & ~around.astype(bool)).any()
        found.append(iou(filled, expected.astype(bool)))
    assert min(found) > 0.85


def test_the_last_tenth_of_each_defect_is_for_validation(version, exported):
    found = [(pair, split) for pair, split, *_ in located(version, exported)]
    val = {at: [p.pair_index for p, s in found if s == "val" and (p.product, p.defect) == at] for at in version.pairs}
    assert val == {
        ("plate", "pit"): [11],
        ("plate", "scratch"): [1],
        ("tile", "pit"): [],
        ("tile", "stain"): [19, 20],
    }
    assert [_learned(pairs) for pairs in (0, 1, 2, 19, 20, 100)] == [0, 1, 1, 18, 18, 90]


def test_the_settings_name_splits_and_classes_and_warn(exported, settings):
    assert settings == {
        "train": "images/train",
        "val": "images/val",
        "names": {0: "plate/pit", 1: "scratch", 2: "tile/pit", 3: "stain"},
    }
    assert (exported / "data.yaml").read_text().startswith("# val is synthetic")
