"""Collect what a version holds from the outputs that dvc.lock names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipeline_tasks.catalog import Catalog, Defect
from pipeline_tasks.lineage.lock import Lock
from pipeline_tasks.manifest import read_manifest, read_selected
from pipeline_tasks.report.contents import DefectContents, Example, ProductContents
from pipeline_tasks.schema import GOOD, STRENGTH, Pair, Sample, SetAside, StrengthTrial
from pipeline_tasks.splits.membership import read_members
from pipeline_tasks.storage import read_json, read_rows
from pipeline_tasks.tracking.registry import Dataset, Generator

REAL_SHOWN = 6
FROM_NOTHING = (
    "random weights. DefectDiffu starts from a DiT pretrained on ImageNet (backend.transformer): without one expect "
    "blurred texture, faint small defects and looser masks than the paper shows"
)
"""What a person should know of a transformer that has seen nothing but a few products."""


@dataclass(frozen=True)
class Version:
    """Everything that a version publishes."""

    products: Sequence[ProductContents]
    datasets: Sequence[Dataset]
    generators: Sequence[Generator]
    docs: dict[str, Path]
    """The Data Docs folder of each product."""


def collect(lock: Lock, catalog: Catalog, sample_pairs: int) -> Version:
    """Read the results of every stage of the catalog; pictures are read only when they are asked for.

    Raises PublicationError if the lock lacks an output, DataError if a file is missing or damaged.
    """
    models = {name: lock.output(f"train@{name}") for name in catalog.generators}
    return Version(
        products=[_product(lock, product, catalog, sample_pairs) for product in catalog.products],
        datasets=[_dataset(lock, item.product, item.defect) for item in catalog.defects.values()],
        generators=[Generator(f"defectline-{g}-generator", m.md5, lock.root / m.path) for g, m in models.items()],
        docs={p: lock.root / lock.output(f"validate@{p}", "docs").path for p in catalog.products},
    )


def _product(lock: Lock, product: str, catalog: Catalog, sample_pairs: int) -> ProductContents:
    generator = catalog.generator_of(product)
    model = lock.root / lock.output(f"train@{generator}").path
    card = read_json(lock.root / lock.output(f"pretrain@{generator}").path / "pretrained.json")
    curve = model / "curve.json"
    return ProductContents(
        product=product,
        generator={
            "Base model": _base_model(card),
            **_transformer(model, card),
            "Prompts": _prompts(lock.root / lock.output(f"prompts@{product}").path),
        },
        gate=read_json(lock.root / lock.output(f"validate@{product}", "result.json").path),
        evaluation=read_json(lock.root / lock.output(f"evaluate@{product}").path),
        curve=read_json(curve) if curve.exists() else {},
        set_aside=list(read_rows(lock.root / lock.output(f"ingest@{product}", "data/set_aside/*").path, SetAside)),
        members=read_members(lock.root / lock.output(f"ingest@{product}", "splits/*").path),
        defects=[_defect(lock, item, sample_pairs) for item in catalog.defects.values() if item.product == product],
        docs=f"data_docs/{product}/index.html",
    )


def _base_model(card: Mapping[str, Any]) -> str:
    """Return what a generator starts from, in words."""
    quality = card["codec_psnr_db"]
    codec = f"; its codec restores unseen images to {quality:.1f} dB PSNR" if quality else ""
    source = "none, it learns from these samples alone" if card["source"] == "none" else _revision(card)
    return f"{source}{codec}"


def _revision(card: Mapping[str, Any]) -> str:
    return f"{card['source']}, revision {card['revision'][:12]}" if card["revision"] else str(card["source"])


def _transformer(model: Path, card: Mapping[str, Any]) -> dict[str, str]:
    """Return the blocks of a generator that is a diffusion transformer, and what they start from, in words."""
    config = model / "tdia" / "config.json"
    if not config.exists():
        return {}
    layers = read_json(config)
    parts = ", ".join(f"{layers[f'{part}_layers']} {part}" for part in ("background", "defect", "fusion"))
    start = card.get("transformer")
    return {"Transformer": f"{parts} blocks; start: {_revision(start) if start else FROM_NOTHING}"}


def _prompts(file: Path) -> str:
    book = read_json(file)
    reason = f", although {book['asked']} was asked: {book['reason']}" if book["reason"] else ""
    return f"{book['kind']}{reason}"


def _defect(lock: Lock, item: Defect, sample_pairs: int) -> DefectContents:
    normals, real = (lock.root / lock.output(f"ingest@{p}", "data/base/*").path for p in (item.product, item.source))
    pairs = lock.root / lock.output(f"generate@{item.product}-{item.defect}").path
    return DefectContents(
        item.defect,
        item.source,
        partial(_examples, _tables(pairs), normals / f"{GOOD}.parquet", sample_pairs),
        partial(_real, real / f"{item.defect}.parquet"),
        lambda: [trial for table in _tables(pairs / STRENGTH) for trial in read_rows(table, StrengthTrial)],
    )


def _tables(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))


def _examples(shards: list[Path], normals: Path, number: int) -> list[Example]:
    """Return `number` pairs spread evenly over the shards, with their normal images."""
    chosen = _spread(read_manifest(shards, Pair)["pair_id"].to_pylist(), number)
    pairs = list(read_selected(shards, Pair, "pair_id", set(chosen)))
    paths = {pair.normal_path for pair in pairs if pair.normal_path is not None}
    hosts = {host.source_path: host.image for host in read_selected([normals], Sample, "source_path", paths)}
    return [Example(pair, pair.normal or hosts[str(pair.normal_path)]) for pair in pairs]


def _real(table: Path) -> list[Sample]:
    chosen = _spread(read_manifest([table], Sample)["source_path"].to_pylist(), REAL_SHOWN)
    return list(read_selected([table], Sample, "source_path", set(chosen)))


def _spread(items: list[str], number: int) -> list[str]:
    """Return at most `number` of `items`, from the first on, evenly spaced."""
    shown = min(number, len(items))
    return [items[i * len(items) // shown] for i in range(shown)]


def _dataset(lock: Lock, product: str, defect: str) -> Dataset:
    pairs = lock.output(f"generate@{product}-{defect}")
    manifest = read_manifest(_tables(lock.root / pairs.path), Pair).to_pandas()
    return Dataset(f"{product}/{defect}", pairs.md5, pairs.path.as_posix(), manifest)
