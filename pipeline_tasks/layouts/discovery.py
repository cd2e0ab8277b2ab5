"""From a folder to a catalog: which products in which layout, with which defects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline_tasks.catalog import Catalog, slug
from pipeline_tasks.errors import ConfigError, DataError
from pipeline_tasks.layouts import READERS
from pipeline_tasks.params import ZeroShot
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


@dataclass(frozen=True)
class _Found:
    """One product's folder, and the names of its usable defects."""

    folder: Path
    layout: str
    defects: list[str]


def discover(data: Path, shared: bool, zero_shot: Sequence[ZeroShot] = ()) -> tuple[Catalog, list[str]]:
    """Return the catalog of `data`, one product's folder or a folder of such, and notes on what was left out.

    Each product has a generator of its own, or all have one together (`shared`), which `zero_shot` needs: its entries
    become defects of their products, for which normal images are enough. Paths in the catalog are as given.
    Raises DataError if nothing usable is found, saying what a layout looks like, and ConfigError if a name or path
    cannot stand in a catalog, or an entry of `zero_shot` does not fit what was found.
    """
    if not data.is_dir():
        raise DataError(f"{data}: no such folder; give the folder that holds your product's images")
    found, notes = _products(data, {entry.product for entry in zero_shot})
    if not found:
        raise DataError(f"{data}: no usable product found; {'; '.join([EXPECTED, *notes])}")
    _check_zero_shot(zero_shot, found, shared)
    own = [ZeroShot(source=name, defect=d, product=name) for name, product in found.items() for d in product.defects]
    try:
        return Catalog.model_validate(_entries(found, [*own, *zero_shot], shared)), notes
    except ValidationError as error:
        raise ConfigError(describe(data, error)) from error


def _entries(found: Mapping[str, _Found], defects: Sequence[ZeroShot], shared: bool) -> dict[str, Any]:
    makers = {name: SHARED if shared else name for name in found}
    paths = {makers[n]: SHARED_PATHS if shared else {k: p.format(n) for k, p in OWN_PATHS.items()} for n in found}
    generated = {name: {"generator": maker, "prompts": paths[maker]["prompts"]} for name, maker in makers.items()}
    return {
        "products": {name: {"path": str(product.folder), "layout": product.layout} for name, product in found.items()},
        "generators": paths,
        "defects": {f"{d.product}-{d.defect}": d.model_dump() | generated[d.product] for d in defects},
    }


def _products(data: Path, targets: set[str]) -> tuple[dict[str, _Found], list[str]]:
    """Return the products by name, those without a defect only if they are among `targets`, and notes."""
    found: dict[str, _Found] = {}
    notes: list[str] = []
    for folder in [data] if _layout(data) else sorted(f for f in data.iterdir() if f.is_dir()):
        layout = _layout(folder)
        if layout is None:
            notes.append(f"{folder}: left out: in no known layout")
            continue
        name, defects = slug(folder.resolve().name), READERS[layout].defects(folder)
        notes += [f"{folder}: {note}" for note in READERS[layout].notes(folder)]
        if name in found:
            raise DataError(f"{folder}: a second product called '{name}'; rename one of the folders")
        if defects or name in targets:
            found[name] = _Found(folder, layout, defects)
        else:
            notes.append(f"{folder}: left out: no defect has both images and masks")
    return found, notes


def _check_zero_shot(zero_shot: Sequence[ZeroShot], found: Mapping[str, _Found], shared: bool) -> None:
    """Raise ConfigError naming the first entry that cannot be made of the products `found`."""
    if zero_shot and not shared:
        raise ConfigError(
            f"params.yaml: zero_shot needs one generator for all products, found one for each ({', '.join(found)}); "
            "run `defectline catalog` with --shared, or empty zero_shot"
        )
    asked: set[tuple[str, str]] = set()
    for number, entry in enumerate(zero_shot):
        if complaint := _complaint(entry, found):
            raise ConfigError(f"params.yaml: zero_shot[{number}]: {complaint}")
        if (entry.product, entry.defect) in asked:
            raise ConfigError(
                f"params.yaml: zero_shot[{number}]: '{entry.defect}' on '{entry.product}' a second time; remove one"
            )
        asked.add((entry.product, entry.defect))


def _complaint(entry: ZeroShot, found: Mapping[str, _Found]) -> str | None:
    for key, name in (("source", entry.source), ("product", entry.product)):
        if name not in found:
            return f"{key}: no product '{name}'; found: {', '.join(found)}"
    if entry.defect in found[entry.product].defects:
        return f"product: '{entry.product}' has real '{entry.defect}' of its own; remove the entry"
    if entry.defect not in found[entry.source].defects:
        has = ", ".join(found[entry.source].defects) or "none"
        return f"defect: '{entry.source}' has no usable defect '{entry.defect}'; it has: {has}"
    return None


def _layout(folder: Path) -> str | None:
    return next((name for name, reader in READERS.items() if reader.matches(folder)), None)
