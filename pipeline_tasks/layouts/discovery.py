"""From a folder to a catalog: which products in which layout, with which defects."""

from pathlib import Path

from pydantic import ValidationError

from pipeline_tasks.catalog import Catalog, slug
from pipeline_tasks.errors import ConfigError, DataError
from pipeline_tasks.layouts import READERS
from pipeline_tasks.yaml_files import describe

EXPECTED = (
    "expected the MVTec-AD layout: train/good/NAME.png, test/<defect>/NAME.png and ground_truth/<defect>/NAME_mask.png"
)

SHARED = "shared"
"""Name of the generator that learns all products at once."""
SHARED_PATHS = {"base": "data/base", "prompts": "data/prompts"}
"""What it learns from: the outputs of ingest and prompts of every product, see dvc.yaml ..."""
OWN_PATHS = {"base": "data/base/{}", "prompts": "data/prompts/{}.json"}
"""... and what a product's own generator learns from."""


def discover(data: Path, shared: bool) -> tuple[Catalog, list[str]]:
    """Return the catalog of `data`, one product's folder or a folder of such, and notes on what was left out.

    Each product has a generator of its own, or all have one together (`shared`). Paths in the catalog are as given.
    Raises DataError if nothing usable is found, saying what a layout looks like, and ConfigError if a name or path
    cannot stand in a catalog.
    """
    if not data.is_dir():
        raise DataError(f"{data}: no such folder; give the folder that holds your product's images")
    products: dict[str, dict[str, str]] = {}
    generators: dict[str, dict[str, str]] = {}
    defects: dict[str, dict[str, str]] = {}
    notes: list[str] = []
    for folder in [data] if _layout(data) else sorted(f for f in data.iterdir() if f.is_dir()):
        layout = _layout(folder)
        if layout is None:
            notes.append(f"{folder}: left out: in no known layout")
            continue
        name, found = slug(folder.resolve().name), READERS[layout].defects(folder)
        notes += [f"{folder}: {note}" for note in READERS[layout].notes(folder)]
        if name in products:
            raise DataError(f"{folder}: a second product called '{name}'; rename one of the folders")
        if found:
            products[name] = {"path": str(folder), "layout": layout}
            generator = SHARED if shared else name
            generators[generator] = SHARED_PATHS if shared else {k: p.format(name) for k, p in OWN_PATHS.items()}
            defects |= {f"{name}-{d}": {"product": name, "defect": d, "generator": generator} for d in found}
        else:
            notes.append(f"{folder}: left out: no defect has both images and masks")
    if not products:
        raise DataError(f"{data}: no usable product found; {'; '.join([EXPECTED, *notes])}")
    try:
        return Catalog.model_validate({"products": products, "generators": generators, "defects": defects}), notes
    except ValidationError as error:
        raise ConfigError(describe(data, error)) from error


def _layout(folder: Path) -> str | None:
    return next((name for name, reader in READERS.items() if reader.matches(folder)), None)
