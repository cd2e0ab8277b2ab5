"""`defectline export`: a published version in a format that people train on."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline_tasks.commands.versions import VERSION_HELP

if TYPE_CHECKING:
    from pipeline_tasks.commands.versions import Opened
    from pipeline_tasks.exports.content import Content, ProductContent


def export(
    version: Annotated[str, typer.Argument(help=VERSION_HELP)],
    out: Annotated[Path, typer.Argument(help="the folder to make")],
    form: Annotated[str, typer.Option("--format", help="mvtec, coco, yolo, hf (Hugging Face datasets) or png")],
    product: Annotated[str | None, typer.Option(help="of this product alone")] = None,
) -> None:
    """Write a published version, with checksums and its card, in a format that people train on."""
    from pipeline_tasks import exports
    from pipeline_tasks.commands.cards import card_of
    from pipeline_tasks.commands.versions import opened

    exports.check(form, out)
    with opened(version, product) as found:
        products = _products(found, product)
        content = _content(found, products)
        exports.export(form, content, card_of(found, products), out)
        counts = [f"{'/'.join(place)} {content.count(*place)}" for place in content.class_names]
    print(f"{out}: version {found.version} as {form}; pairs: {', '.join(counts)}")


def _products(found: "Opened", product: str | None) -> list[str]:
    """Return the products to export: all of the version's, or the one that is named."""
    from pipeline_tasks.errors import ConfigError

    products = list(found.catalog.products)
    if product and product not in products:
        raise ConfigError(f"--product {product}: not in version {found.version}, which has {', '.join(products)}")
    return [product] if product else products


def _content(found: "Opened", products: Sequence[str]) -> "Content":
    from pipeline_tasks.exports.content import Content

    return Content(found.version, {product: _product(found, product) for product in products})


def _product(found: "Opened", product: str) -> "ProductContent":
    """Return where a product's tables are; they are fetched where they are not at hand."""
    from pipeline_tasks.exports.content import ProductContent
    from pipeline_tasks.schema import GOOD

    lock, path_of = found.lock, found.path_of
    base, test = (lock.output(f"ingest@{product}", f"data/{split}/*") for split in ("base", "test"))
    pairs = {defect: lock.output(f"generate@{product}-{defect}") for defect in found.catalog.defects_of(product)}
    return ProductContent(
        defects={defect: sorted(path_of(output).glob("*.parquet")) for defect, output in pairs.items()},
        normals=[path_of(base) / f"{GOOD}.parquet"],
        test_normals=[path_of(test) / f"{GOOD}.parquet"],
        licence=found.catalog.products[product].licence,
    )
