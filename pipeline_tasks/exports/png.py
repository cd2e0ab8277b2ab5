"""A plain tree of PNG files, and manifest.csv: a row for each image, with everything that is known of it."""

import csv
import json
from collections.abc import Iterator
from typing import Any

from pipeline_tasks.exports.content import PROVENANCE, Content, provenance, samples
from pipeline_tasks.exports.folder import Folder, safe_name
from pipeline_tasks.schema import GOOD, Sample

MANIFEST = "manifest.csv"
FILES = ("image", "mask", "product", "defect", "split")
"""The columns by which `defectline catalog` reads the folder again; those of provenance follow."""
COLUMNS = (*FILES, *(name for name in PROVENANCE if name not in FILES))
READING = f"""\
`{MANIFEST}` has a row for each image: its path, that of its mask, product, defect, split, and how it was made. Normal
images are real and have the defect `{GOOD}` and no mask; of those, `split` says which were held out (`test`). Lists are
JSON; in texts, line breaks are spaces. `defectline catalog` reads this folder as it is.

    import pandas
    rows = pandas.read_csv("{MANIFEST}")"""


def write(content: Content, folder: Folder) -> None:
    """Write the version as a tree of PNG files with a manifest."""
    with folder.place(MANIFEST).open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows({name: _cell(value) for name, value in row.items()} for row in _rows(content, folder))
    folder.seal(MANIFEST)


def _rows(content: Content, folder: Folder) -> Iterator[dict[str, Any]]:
    """Write the images and yield their rows."""
    for product, tables in content.products.items():
        for split, normals in (("train", tables.normals), ("test", tables.test_normals)):
            for sample in samples(normals):
                image = f"images/{product}/{GOOD}/{safe_name(sample.source_path)}.png"
                folder.write(image, sample.image)
                yield {"image": image, "product": product, "defect": GOOD, "split": split, **_normal(sample)}
    for at in content.pairs("export png"):
        image, mask = (f"{kind}/{at.product}/{at.defect}/{at.number}.png" for kind in ("images", "masks"))
        folder.write(image, at.pair.image)
        folder.write(mask, at.pair.mask)
        named = {"product": at.product, "defect": at.defect, "split": "train"}
        yield {**provenance(at.pair), "image": image, "mask": mask, **named}


def _normal(sample: Sample) -> dict[str, Any]:
    """Return those columns of provenance that a normal image has."""
    return {
        "normal_path": sample.source_path,
        "normal_sha256": sample.sha256,
        "normal_derived": sample.derived_from is not None,
        "width": sample.width,
        "height": sample.height,
        "mask_area_px": 0,
    }


def _cell(value: Any) -> str:
    """Return a value as it stands in the table, on one line; null is ''."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    return " ".join(text.splitlines())
