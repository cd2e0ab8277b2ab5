import csv
import io
import os
from collections import Counter
from pathlib import Path

import pytest
from malformed import PLACES, scatter
from miniatures import MINIATURES, visa_product
from raw_items import LIMITS

from pipeline_tasks.layouts import LAYOUTS
from pipeline_tasks.layouts.raw import RawSample
from pipeline_tasks.layouts.reasons import REMEDY, Reason
from pipeline_tasks.schema import Sample, SetAside
from pipeline_tasks.storage import read_rows

CASES = 125
"""Of each of the eight layouts: 1,000 in all."""
TABLE_DEFECTS = ("deep dent", "deep dent", "good", "deep dent", "(good)")
TABLE_SPLITS = ("train", "test", "", "val", "Train", "test,train", 'a "test"')
PRODUCTS = {layout: ["plate"] for layout in PLACES} | {"listing": ["bolt", "nut"]}


@pytest.fixture(scope="module")
def reasons():
    """Counts the reasons over all layouts, and prints them."""
    found: Counter[str] = Counter()
    yield found
    print("\n".join(f"{number:5} {reason}" for reason, number in found.most_common()))


def write_folder(product_folder, layout: str) -> list[str]:
    """Write good samples and malformed ones, and return the images of the good ones."""
    if layout == "visa":
        visa_product(product_folder, "")
    else:
        MINIATURES[layout](product_folder)
    good = [item.source_path for item in raw_samples(product_folder.root, layout)]
    made = scatter(product_folder.root, PLACES[layout], CASES, seed=sorted(PLACES).index(layout))
    if layout == "listing":
        write_lines(product_folder.root / "list.csv", made)
    return good


def raw_samples(folder: Path, layout: str) -> list[RawSample]:
    items = [item for product in PRODUCTS[layout] for item in LAYOUTS[layout].read(folder, product, LIMITS)]
    return [item for item in items if isinstance(item, RawSample)]


def write_lines(table: Path, images: list[str]) -> None:
    """Add a line for each of `images`, some of which no line may have; of every ninth the line is repeated."""
    lines = io.StringIO()
    for index, image in enumerate(images):
        mask = PLACES["listing"].mask_name.format(Path(image).stem)
        line = [image, f"shots/{mask}", "bolt", TABLE_DEFECTS[index % 5], TABLE_SPLITS[index % 7]]
        csv.writer(lines).writerows([line] * (2 if index % 9 == 0 else 1))
    with table.open("ab") as file:
        file.write(b"\n" + lines.getvalue().encode(errors="surrogateescape"))


def files_below(folder: Path) -> set[str]:
    """Return every entry that is no folder, but not the tables in the top folder, as the account names them."""
    found = set()
    for here, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(here) / name).is_symlink()]
        found |= {(Path(here) / name).relative_to(folder) for name in [*links, *files]}
    return {readable(path) for path in found if len(path.parts) > 1 or path.suffix != ".csv"}


def readable(path: Path) -> str:
    return os.fsencode(path).decode(errors="backslashreplace")


@pytest.mark.parametrize("layout", PLACES)
def test_no_malformed_file_stops_ingest_or_is_lost(layout, product_folder, defectline, reasons):
    good, folder = write_folder(product_folder, layout), product_folder.root
    raw, outputs = ["--raw", folder, "--layout", layout], ["--base", "base", "--test", "test"]
    samples, set_aside = [], []
    for product in PRODUCTS[layout]:
        tables = ["--set-aside", f"{product}.parquet", "--split", f"{product}.csv"]
        ran = defectline("ingest", "--product", product, *raw, *outputs, *tables)
        assert ran.status == 0, ran.err
        rows = [
            row for split in ("base", "test") for t in Path(split).glob("*.parquet") for row in read_rows(t, Sample)
        ]
        samples += [row.source_path for row in rows if row.derived_from is None]
        set_aside += read_rows(Path(f"{product}.parquet"), SetAside)
    assert set(good) <= set(samples)
    assert all(row.remedy == REMEDY[Reason(row.reason)] for row in set_aside)

    masks = {readable(item.mask.relative_to(folder)) for item in raw_samples(folder, layout) if item.mask}
    account = Counter([*samples, *(row.source_path for row in set_aside), *masks])
    files = files_below(folder)
    assert len(files) > CASES
    assert {path: account[path] for path in files if account[path] != 1} == {}
    reasons.update(row.reason for row in set_aside)
