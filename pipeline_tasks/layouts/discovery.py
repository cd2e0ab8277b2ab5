"""From a folder to a catalog: which products in which layout, with which defects."""

from pathlib import Path

from pipeline_tasks.catalog import Catalog, Defect, Product, slug
from pipeline_tasks.errors import DataError
from pipeline_tasks.layouts import READERS


def discover(data: Path) -> tuple[Catalog, list[str]]:
    """Return the catalog of `data`, one product's folder or a folder of such, and notes on what was left out.

    Paths in the catalog are as given. Raises DataError if nothing usable is found, saying what a layout looks like.
    """
    if not data.is_dir():
        raise DataError(f"{data}: no such folder; give the folder that holds your product's images")
    folders = [data] if _layout(data) else sorted(f for f in data.iterdir() if f.is_dir() and _layout(f))
    products, defects, notes = {}, {}, []
    for folder in folders:
        layout = _layout(folder)
        assert layout is not None  # noqa: S101 - folders were chosen by having one
        name = slug(folder.resolve().name)
        found = READERS[layout].defects(folder)
        if not found:
            notes.append(f"{folder}: left out: no defect has both images (test/<defect>) and masks (ground_truth/<defect>)")
            continue
        if name in products:
            raise DataError(f"{folder}: a second product called '{name}'; rename one of the folders")
        products[name] = Product(path=str(folder), layout=layout)
        defects.update({f"{name}-{d}": Defect(product=name, defect=d) for d in found})
        notes += [f"{folder}: {note}" for note in READERS[layout].notes(folder)]
    if not products:
        raise DataError(
            f"{data}: no usable product found. Expected MVTec-AD layout: train/good, test/<defect>/NAME.png and "
            f"ground_truth/<defect>/NAME_mask.png{'; ' + '; '.join(notes) if notes else ''}"
        )
    return Catalog(products=products, defects=defects), notes


def _layout(folder: Path) -> str | None:
    return next((name for name, reader in READERS.items() if reader.matches(folder)), None)
