"""YOLO segmentation: images/SPLIT, labels/SPLIT with a polygon for each 8-connected piece of a mask, and data.yaml."""

from collections.abc import Iterator

import numpy as np

from pipeline_tasks.exports.content import Content, Located
from pipeline_tasks.exports.folder import Folder
from pipeline_tasks.exports.outlines import Corners, pieces
from pipeline_tasks.images.codec import Mask, decode_mask
from pipeline_tasks.yaml_files import to_yaml

SETTINGS = "data.yaml"
TRAIN, VAL = "train", "val"
VAL_SHARE = 10
"""One of so many pairs of a defect, the last ones, is for validation."""
SYNTHETIC = """\
# val is synthetic, as train is: the last tenth of each defect's pairs. It tells whether training converges, not how
# good the detector is: judge it on real images. There is no `path`: without one ultralytics looks beside this file.
"""
READING = f"""\
YOLO segmentation: a label for each 8-connected piece of a mask, its outline along the edges of pixels as shares of the
image's width and height. A hole is cut out by a line of no width. ultralytics rounds outlines to pixels of its input
size and fills their line too, so that it trains on masks up to a pixel wider there. `{VAL}` is synthetic too: the last
tenth of each defect's pairs. Judge a detector on real images.

    yolo segment train data="THIS FOLDER/{SETTINGS}" model=yolo11n-seg.pt"""


def write(content: Content, folder: Folder) -> None:
    """Write the version as YOLO segmentation. A defect of two pairs or more has at least one for validation."""
    classes = {place: number for number, place in enumerate(content.class_names)}
    for split in (TRAIN, VAL):
        for kind in ("images", "labels"):
            (folder.path / kind / split).mkdir(parents=True)
    for at, split in _with_split(content):
        name = f"{split}/{at.product}-{at.defect}-{at.number}"
        folder.write(f"images/{name}.png", at.pair.image)
        folder.write(f"labels/{name}.txt", _labels(classes[at.product, at.defect], decode_mask(at.pair.mask)))
    names = dict(enumerate(content.class_names.values()))
    splits = {split: f"images/{split}" for split in (TRAIN, VAL)}
    folder.write(SETTINGS, (SYNTHETIC + to_yaml(splits | {"names": names})).encode())


def _with_split(content: Content) -> Iterator[tuple[Located, str]]:
    """Yield the pairs with the split of each."""
    learned = {place: _learned(content.count(*place)) for place in content.class_names}
    seen = dict.fromkeys(learned, 0)
    for at in content.pairs("export yolo"):
        place = at.product, at.defect
        yield at, TRAIN if seen[place] < learned[place] else VAL
        seen[place] += 1


def _learned(pairs: int) -> int:
    """Return how many of a defect's pairs are for training."""
    return pairs - max(pairs // VAL_SHARE, 1) if pairs > 1 else pairs


def _labels(number: int, mask: Mask) -> bytes:
    """Return a line for each piece of a mask: the number of the class, and x and y of each corner, 0..1."""
    return "".join(f"{number} {_shares(piece.outline(), mask)}\n" for piece in pieces(mask)).encode()


def _shares(outline: Corners, mask: Mask) -> str:
    height, width = mask.shape
    return " ".join(f"{share:.6g}" for share in (outline / np.array([width, height])).ravel().tolist())
