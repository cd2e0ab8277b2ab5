"""From a folder to a catalog: which products in which layout, with which defects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline_tasks.catalog import Catalog
from pipeline_tasks.errors import ConfigError, DataError
from pipeline_tasks.layouts import LAYOUTS, layout, listing
from pipeline_tasks.layouts.contents import folders_in
from pipeline_tasks.layouts.layout import Layout
from pipeline_tasks.layouts.tables import SUFFIXES
from pipeline_tasks.params import ZeroShot
from pipeline_tasks.yaml_files import describe

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


def discover(
    data: Path, shared: bool, zero_shot: Sequence[ZeroShot] = (), layout_name: str | None = None
) -> tuple[Catalog, list[str]]:
    """Return the catalog of `data` and notes on what was left out.

    `data` is a folder in a layout, a folder of such, or the table of the layout `listing`. The layout is detected, or
    the one that is named. Each product has a generator of its own, or all have one together (`shared`), which
    `zero_shot` needs: its entries become defects of their products, for which normal images are enough. Paths in the
    catalog are as given. Raises DataError if nothing usable is found, saying what layouts look like, and ConfigError
    if a name or path cannot stand in a catalog, or an entry of `zero_shot` does not fit what was found.
    """
    named = layout(layout_name) if layout_name else None
    if data.is_file() and data.suffix.lower() in SUFFIXES:
        data, named = _listed(data, named)
    if not data.is_dir():
        raise DataError(f"{data}: no such folder; give the folder that holds your product's images")
    found, notes = _products(data, named, {entry.product for entry in zero_shot})
    if not found:
        raise DataError("\n  ".join([f"{data}: no usable product found; expected", *_expected(named), *notes]))
    _check_zero_shot(zero_shot, found, shared)
    own = [ZeroShot(source=name, defect=d, product=name) for name, product in found.items() for d in product.defects]
    try:
        return Catalog.model_validate(_entries(found, [*own, *zero_shot], shared)), notes
    except ValidationError as error:
        raise ConfigError(describe(data, error)) from error


def _listed(table: Path, named: Layout | None) -> tuple[Path, Layout]:
    """Return the folder of a list, and its layout. Raises ConfigError or DataError if it would not be what is read."""
    if named not in (None, listing.LAYOUT):
        raise ConfigError(f"{table}: is no folder in layout {named.name}; give the folder, or leave out --layout")
    listing.check_named(table)
    return table.parent, listing.LAYOUT


def _expected(named: Layout | None) -> list[str]:
    return [f"{each.name}: {each.expected}" for each in ([named] if named else LAYOUTS.values())]


def _entries(found: Mapping[str, _Found], defects: Sequence[ZeroShot], shared: bool) -> dict[str, Any]:
    makers = {name: SHARED if shared else name for name in found}
    paths = {makers[n]: SHARED_PATHS if shared else {k: p.format(n) for k, p in OWN_PATHS.items()} for n in found}
    generated = {name: {"generator": maker, "prompts": paths[maker]["prompts"]} for name, maker in makers.items()}
    return {
        "products": {name: {"path": str(product.folder), "layout": product.layout} for name, product in found.items()},
        "generators": paths,
        "defects": {f"{d.product}-{d.defect}": d.model_dump() | generated[d.product] for d in defects},
    }


def _products(data: Path, named: Layout | None, targets: set[str]) -> tuple[dict[str, _Found], list[str]]:
    """Return the products by name, those without a defect only if they are among `targets`, and notes."""
    found: dict[str, _Found] = {}
    folders, notes = _folders(data, named)
    for folder, own in folders.items():
        for name, survey in own.survey(folder).items():
            if name in found:
                raise DataError(f"{folder}: a second product called '{name}'; rename one of the folders")
            notes += [f"{folder}: {note}" for note in survey.notes]
            if survey.defects or name in targets:
                found[name] = _Found(folder, own.name, survey.defects)
            else:
                notes.append(f"{folder}: '{name}' is left out: no defect has both images and masks")
    return dict(sorted(found.items())), notes


def _folders(data: Path, named: Layout | None) -> tuple[dict[Path, Layout], list[str]]:
    """Return the layout of `data` or of the folders right in it, and notes on those that have none or more than one.

    A `named` layout is taken for `data` where neither seems to fit: whoever names it knows better.
    """
    fitting = {data: _fitting(data, named)}
    if not fitting[data]:
        fitting = {data / name: _fitting(data / name, named) for name in folders_in(data)}
    if named and not any(fitting.values()):
        fitting = {data: [named]}
    unfit = f"not in layout {named.name}" if named else "in no known layout"
    notes = [f"{folder}: left out: {unfit}" for folder, layouts in fitting.items() if not layouts]
    notes += [
        f"{folder}: read as {layouts[0].name}, though {layouts[1].name} fits too; choose with --layout"
        for folder, layouts in fitting.items()
        if len(layouts) > 1
    ]
    return {folder: layouts[0] for folder, layouts in fitting.items() if layouts}, notes


def _fitting(folder: Path, named: Layout | None) -> list[Layout]:
    """Return the layouts that a folder fits; of several only those in which it has a defect, if there are such."""
    fitting = [each for each in ([named] if named else LAYOUTS.values()) if each.matches(folder)]
    return [each for each in fitting if len(fitting) == 1 or _has_defect(each, folder)] or fitting


def _has_defect(each: Layout, folder: Path) -> bool:
    """Tell whether a folder has a defect in a layout; so it has, if the layout complains about it: that is told."""
    try:
        return any(survey.defects for survey in each.survey(folder).values())
    except (DataError, ConfigError):
        return True


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
