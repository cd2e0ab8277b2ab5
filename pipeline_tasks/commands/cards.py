"""The card of a version at hand, whatever its age: of its own results, as DVC keeps them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline_tasks.catalog import Defect
    from pipeline_tasks.commands.versions import Opened
    from pipeline_tasks.report.dataset_card import CardDefect, CardProduct


def card_of(version: "Opened", products: Sequence[str]) -> str:
    """Return the card of these products of a version, Markdown. Raises DataError if a result of it cannot be had."""
    from pipeline_tasks.report.dataset_card import CardOrigin, render_card

    number = "" if version.number is None else str(version.number)
    origin = CardOrigin(version.version, number, version.revision)
    return render_card(origin, [_product(version, product) for product in products])


def _product(version: "Opened", product: str) -> "CardProduct":
    from pipeline_tasks.lineage.collect import describe_generator
    from pipeline_tasks.report.dataset_card import CardProduct
    from pipeline_tasks.storage import read_json

    catalog = version.catalog
    generator = catalog.generator_of(product)
    model, pretrained, prompts = (
        _path(version, stage) for stage in (f"train@{generator}", f"pretrain@{generator}", f"prompts@{product}")
    )
    return CardProduct(
        product=product,
        licence=catalog.products[product].licence,
        generator=describe_generator(model, pretrained, prompts),
        gate=read_json(_path(version, f"validate@{product}", "result.json")),
        choice=read_json(_path(version, f"choose@{product}")),
        evaluation=read_json(_path(version, f"evaluate@{product}", "*.json")),
        defects=[_defect(version, item) for item in catalog.defects.values() if item.product == product],
    )


def _path(version: "Opened", stage: str, pattern: str = "*") -> Path:
    return version.path_of(version.lock.output(stage, pattern))


def _defect(version: "Opened", item: "Defect") -> "CardDefect":
    from pipeline_tasks.manifest import read_manifest
    from pipeline_tasks.report.dataset_card import CardDefect, count_pairs
    from pipeline_tasks.schema import Pair

    output = version.lock.output(f"generate@{item.product}-{item.defect}")
    shards = sorted(version.path_of(output).glob("*.parquet"))
    counts = count_pairs(read_manifest(shards, Pair))
    return CardDefect(item.defect, item.source, output.path.as_posix(), output.md5, counts)
