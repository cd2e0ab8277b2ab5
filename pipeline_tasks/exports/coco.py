"""COCO instance segmentation: every 8-connected piece of a mask is an instance, as RLE and as a polygon."""

import json
import shutil
import tempfile
from contextlib import ExitStack
from typing import IO, Any

import numpy as np

from pipeline_tasks.exports.content import Content, Located, provenance
from pipeline_tasks.exports.folder import Folder
from pipeline_tasks.exports.libraries import library
from pipeline_tasks.exports.outlines import Piece, pieces
from pipeline_tasks.images.codec import decode_mask

LIBRARY = "pycocotools.mask"
RLE, POLYGONS = "annotations/instances.json", "annotations/instances_polygons.json"
READING = f"""\
COCO instance segmentation: every 8-connected piece of a mask is an instance. `{RLE}` has the pieces as
compressed RLE, `{POLYGONS}` the same instances as polygons along the edges of pixels; a hole is reached
by a cut of no width. Both give, with pycocotools, exactly the mask. Tools that fill the line of a polygon too (OpenCV)
mark up to a pixel more along it. `provenance` of an image says how it was made.

    from pycocotools.coco import COCO
    data = COCO("{RLE}")"""


def write(content: Content, folder: Folder) -> None:
    """Write the version as COCO. The lists wait in files without a name, so that memory does not grow with them."""
    coder = library(LIBRARY)
    categories = {place: number for number, place in enumerate(content.class_names, start=1)}
    licences = _licences(content)
    with ExitStack() as open_files:
        images, runs, polygons = (open_files.enter_context(_Items(folder)) for _ in range(3))
        instance = 0
        for number, at in enumerate(content.pairs("export coco"), start=1):
            name = f"images/{at.product}/{at.defect}/{at.number}.png"
            folder.write(name, at.pair.image)
            images.add(_image(number, name, licences[content.products[at.product].licence], at))
            mask = decode_mask(at.pair.mask)
            for piece in pieces(mask):
                instance += 1
                found = _instance(instance, number, categories[at.product, at.defect], piece)
                runs.add(found | {"segmentation": _runs(coder, piece.alone(mask.shape))})
                polygons.add(found | {"segmentation": [piece.outline().ravel().tolist()]})
        for name, instances in ((RLE, runs), (POLYGONS, polygons)):
            with folder.place(name).open("w") as file:
                _write_lists(file, _head(content, licences), {"images": images, "annotations": instances})
            folder.seal(name)


class _Items:
    """The items of a JSON list, on disk. Used as a context."""

    def __init__(self, folder: Folder) -> None:
        self._file: IO[str] = tempfile.TemporaryFile("w+", dir=folder.path)  # noqa: SIM115 - closed by the context
        self._empty = True

    def __enter__(self) -> "_Items":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, item: dict[str, Any]) -> None:
        """Append an item."""
        self._file.write(("\n" if self._empty else ",\n") + json.dumps(item))
        self._empty = False

    def copy(self, file: IO[str]) -> None:
        """Write all items, with commas between them."""
        self._file.seek(0)
        shutil.copyfileobj(self._file, file)


def _write_lists(file: IO[str], head: dict[str, Any], lists: dict[str, _Items]) -> None:
    file.write(json.dumps(head, indent=2).removesuffix("\n}"))
    for name, items in lists.items():
        file.write(f',\n  "{name}": [')
        items.copy(file)
        file.write("\n  ]")
    file.write("\n}\n")


def _head(content: Content, licences: dict[str, int]) -> dict[str, Any]:
    names = {at: number for number, at in enumerate(content.class_names.items(), start=1)}
    return {
        "info": {"description": "Generated defect images of defectline", "version": content.version},
        "licenses": [{"id": n, "name": name, "url": ""} for name, n in licences.items()],
        "categories": [{"id": n, "name": name, "supercategory": at[0]} for (at, name), n in names.items()],
    }


def _licences(content: Content) -> dict[str, int]:
    """Return the numbers of the products' licences."""
    names = dict.fromkeys(product.licence for product in content.products.values())
    return {name: number for number, name in enumerate(names, start=1)}


def _image(number: int, name: str, licence: int, at: Located) -> dict[str, Any]:
    size = {"width": at.pair.width, "height": at.pair.height}
    return {"id": number, "file_name": name, **size, "license": licence, "provenance": provenance(at.pair)}


def _instance(number: int, image: int, category: int, piece: Piece) -> dict[str, Any]:
    shape = {"area": piece.area_px, "bbox": list(piece.box), "iscrowd": 0}
    return {"id": number, "image_id": image, "category_id": category, **shape}


def _runs(coder: Any, mask: Any) -> dict[str, Any]:
    """Return a mask as compressed RLE."""
    runs = coder.encode(np.asfortranarray(mask, np.uint8))
    return {"size": [int(side) for side in runs["size"]], "counts": runs["counts"].decode()}
