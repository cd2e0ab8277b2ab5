"""`defectline catalog`: write catalog.yaml from a folder of one product or of several."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline_tasks.catalog import Catalog


def catalog(
    data: Annotated[Path, typer.Argument(help="folder of one product, or of several products' folders, or a CSV list")],
    layout: Annotated[str | None, typer.Option(help="how the folders lie, instead of what is detected")] = None,
    shared: Annotated[bool, typer.Option("--shared", help="one generator for all products together")] = False,
    parts: Annotated[int, typer.Option(min=1, help="make each defect's pairs in so many stages, side by side")] = 1,
    licence: Annotated[str | None, typer.Option(help="of these samples: an SPDX identifier, or in words")] = None,
    output: Annotated[Path, typer.Option(help="file to write")] = Path("catalog.yaml"),
) -> None:
    """Find the products and defects below a folder and write catalog.yaml; outputs of what is gone are removed."""
    from pipeline_tasks.errors import ConfigError
    from pipeline_tasks.layouts.discovery import discover
    from pipeline_tasks.lineage.prune import prune
    from pipeline_tasks.params import load_params
    from pipeline_tasks.stages.prompts import check_zero_shot
    from pipeline_tasks.storage import atomic_file

    params = load_params()
    if params.zero_shot and params.backend.name != "dit":
        raise ConfigError(
            f"params.yaml: zero_shot needs backend.name: dit, found {params.backend.name}; "
            "change it, or empty zero_shot"
        )
    found, notes = discover(data, shared, params.zero_shot, layout)
    found = found.licensed(_licences(found, licence, output)).in_parts(parts)
    check_zero_shot(params.prompts, found)
    text = f"# Written by `defectline catalog`; dvc.yaml fans out over it.\n{found.to_yaml()}"
    if not output.exists() or output.read_text() != text:
        with atomic_file(output) as partial:
            partial.write_text(text)
    pruned = prune(output.resolve().parent)  # always: an earlier call may have been stopped before it came to this
    if parts > max(1, shards := params.masks.pairs_per_defect // params.generate.shard_pairs):
        notes.append(
            f"{parts} parts, but {shards} whole shards (generate.shard_pairs) in masks.pairs_per_defect: some are empty"
        )
    notes += [f"stage {stage} is gone; DVC's cache keeps its outputs" for stage in pruned.stages]
    notes += [f"{path}: left where it is, it holds files that are not DVC's" for path in pruned.left]
    for note in notes:
        print(f"note: {note}")
    print(f"{output}: products {', '.join(found.products)}; defects {', '.join(found.defects)}")


def _licences(found: "Catalog", given: str | None, output: Path) -> dict[str, str]:
    """Return the licence of each product for which there is one to be told.

    It is the one that is given; else what `output` says so far of a product of the same name and path; else that of the
    sample product, which this project draws. Raises ConfigError if the one that is given cannot stand in a catalog.
    """
    from pipeline_tasks.catalog import UNKNOWN_LICENCE, check_licence, load_catalog
    from pipeline_tasks.errors import ConfigError
    from pipeline_tasks.sample.product import LICENCE, is_sample

    if given is not None:
        try:
            return dict.fromkeys(found.products, check_licence(given))
        except ValueError as error:
            raise ConfigError(f"--licence: {error}") from error
    drawn = {name: LICENCE for name, product in found.products.items() if is_sample(Path(product.path))}
    try:
        before = load_catalog(output).products
    except ConfigError:
        return drawn  # none yet, or one that is about to be replaced
    kept = {
        name: before[name].licence
        for name, product in found.products.items()
        if name in before and before[name].path == product.path and before[name].licence != UNKNOWN_LICENCE
    }
    return drawn | kept
