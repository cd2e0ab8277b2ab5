"""Collect what a version holds from the outputs that dvc.lock names."""

import csv
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipeline_tasks.catalog import Catalog, Defect
from pipeline_tasks.errors import DataError
from pipeline_tasks.lineage.dvc_files import DvcFiles, repository_of
from pipeline_tasks.lineage.lock import Lock, Output
from pipeline_tasks.manifest import read_manifest, read_selected
from pipeline_tasks.report.contents import CurvePoint, DefectContents, Example, Extremes, ProductContents
from pipeline_tasks.report.dataset_card import count_pairs
from pipeline_tasks.report.model_card import CardGenerator
from pipeline_tasks.schema import GOOD, STRENGTH, Pair, Sample, SetAside, StrengthTrial
from pipeline_tasks.splits.membership import read_members
from pipeline_tasks.storage import read_json, read_rows, sample_files
from pipeline_tasks.tracking.models import model_name
from pipeline_tasks.tracking.registry import Dataset

CURVE_COLUMNS = {"arm", "recall", "precision"}
REAL_SHOWN = 6
EXTREMES_SHOWN = 3
"""Of the best and of the worst pairs of a defect."""
FROM_NOTHING = (
    "random weights. DefectDiffu starts from a DiT pretrained on ImageNet (backend.transformer): without one expect "
    "blurred texture, faint small defects and looser masks than the paper shows"
)
"""What a person should know of a transformer that has seen nothing but a few products."""


@dataclass(frozen=True)
class Version:
    """Everything that a version publishes.

    datasets: each defect's pairs, and each product's base samples. generators: by name. docs: the Data Docs folder of
    each product.
    """

    products: Sequence[ProductContents]
    datasets: Sequence[Dataset]
    generators: Mapping[str, CardGenerator]
    docs: dict[str, Path]


def collect(lock: Lock, catalog: Catalog, sample_pairs: int, revision: str) -> Version:
    """Read the results of every stage of the catalog; pictures are read only when they are asked for.

    revision: the git commit whose dvc.lock this is. Raises PublicationError if the lock lacks an output, DataError if a
    file is missing or damaged.
    """
    pairs = [_pairs(lock, item, revision) for item in catalog.defects.values()]
    return Version(
        products=[_product(lock, product, catalog, sample_pairs) for product in catalog.products],
        datasets=[*pairs, *(base_samples(lock, product, revision) for product in catalog.products)],
        generators={name: _generator(lock, name) for name in catalog.generators},
        docs={p: lock.root / lock.output(f"validate@{p}", "docs").path for p in catalog.products},
    )


def _product(lock: Lock, product: str, catalog: Catalog, sample_pairs: int) -> ProductContents:
    generator = catalog.generator_of(product)
    stages = (f"train@{generator}", f"pretrain@{generator}", f"prompts@{product}")
    model, pretrained, prompts = (lock.root / lock.output(stage).path for stage in stages)
    return ProductContents(
        product=product,
        licence=catalog.products[product].licence,
        generator=describe_generator(model, pretrained, prompts),
        gate=read_json(lock.root / lock.output(f"validate@{product}", "result.json").path),
        choice=read_json(lock.root / lock.output(f"choose@{product}").path),
        evaluation=read_json(lock.root / lock.output(f"evaluate@{product}", "*.json").path),
        curves=_curves(lock.root / lock.output(f"evaluate@{product}", "curves/*").path),
        curve=_losses(model),
        set_aside=list(read_rows(lock.root / lock.output(f"ingest@{product}", "data/set_aside/*").path, SetAside)),
        members=read_members(lock.root / lock.output(f"ingest@{product}", "splits/*").path),
        test=partial(_samples, lock.root / lock.output(f"ingest@{product}", "data/test/*").path),
        defects=[_defect(lock, item, sample_pairs) for item in catalog.defects.values() if item.product == product],
        docs=f"data_docs/{product}/index.html",
    )


def _generator(lock: Lock, name: str) -> CardGenerator:
    model = lock.output(f"train@{name}")
    return CardGenerator(
        model_name(name, "generator"), model.md5, model.path.as_posix(), _losses(lock.root / model.path)
    )


def _losses(model: Path) -> dict[str, list[float]]:
    curve = model / "curve.json"
    return dict(read_json(curve)) if curve.exists() else {}


def describe_generator(model: Path, pretrained: Path, prompts: Path) -> dict[str, str]:
    """Return what a generator starts from and is told, in words, from the outputs of train, pretrain and prompts."""
    card = read_json(pretrained / "pretrained.json")
    return {"Base model": _base_model(card), **_transformer(model, card), "Prompts": _prompts(prompts)}


def _base_model(card: Mapping[str, Any]) -> str:
    """Return what a generator starts from, in words."""
    quality = card["codec_psnr_db"]
    codec = f"; its codec restores unseen images to {quality:.1f} dB PSNR" if quality else ""
    return f"{_start(card)}{codec}"


def _start(card: Mapping[str, Any]) -> str:
    match card["source"]:
        case "none":
            return "none, it learns from these samples alone"
        case "prior":
            return f"the prior that ships, {card['digest'][:12]}: it has seen drawn surfaces and defects alone"
        case _:
            return _revision(card)


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


def _curves(table: Path) -> list[CurvePoint]:
    """Return the points of data/evaluation/curves. Raises DataError naming the file if it is missing or damaged."""
    try:
        with table.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            if absent := CURVE_COLUMNS - set(rows.fieldnames or []):
                raise ValueError(f"no {' and no '.join(sorted(absent))}")
            return [CurvePoint(row["arm"], float(row["recall"]), float(row["precision"])) for row in rows]
    except FileNotFoundError as error:
        raise DataError(f"{table}: missing; run `dvc repro` to make it or `dvc pull` to fetch it") from error
    except (TypeError, ValueError, csv.Error) as error:
        raise DataError(f"{table}: not arms' precision and recall ({error}); delete it and run `dvc repro`") from error


def _samples(folder: Path, paths: Collection[str]) -> list[Sample]:
    """Return the samples of these source_paths, in their order. Raises DataError naming the first that is not there."""
    if not paths:
        return []
    found = {s.source_path: s for s in read_selected(sample_files(folder), Sample, "source_path", set(paths))}
    if missing := [path for path in paths if path not in found]:
        raise DataError(f"{folder}: no sample {missing[0]}, which was evaluated; run `dvc repro`")
    return [found[path] for path in paths]


def _defect(lock: Lock, item: Defect, sample_pairs: int) -> DefectContents:
    normals, real = (lock.root / lock.output(f"ingest@{p}", "data/base/*").path for p in (item.product, item.source))
    output = lock.output(f"generate@{item.product}-{item.defect}")
    pairs = lock.root / output.path
    shards, hosts = _tables(pairs), normals / f"{GOOD}.parquet"
    return DefectContents(
        item.defect,
        item.source,
        output.path.as_posix(),
        output.md5,
        lambda: count_pairs(read_manifest(shards, Pair)),
        partial(_spread_examples, shards, hosts, sample_pairs),
        partial(_extremes, shards, hosts),
        partial(_real, real / f"{item.defect}.parquet"),
        lambda: [trial for table in _tables(pairs / STRENGTH) for trial in read_rows(table, StrengthTrial)],
    )


def _tables(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))


def _spread_examples(shards: list[Path], normals: Path, number: int) -> list[Example]:
    """Return `number` pairs spread evenly over the shards."""
    return _examples(shards, normals, _spread(read_manifest(shards, Pair)["pair_id"].to_pylist(), number))


def _extremes(shards: list[Path], normals: Path) -> Extremes:
    """Return EXTREMES_SHOWN pairs with the best and as many with the worst alignment; fewer where they would meet."""
    table = read_manifest(shards, Pair)
    ranked = sorted(zip(table["alignment"].to_pylist(), table["pair_id"].to_pylist(), strict=True))
    ids = [pair_id for _, pair_id in ranked]
    number = min(EXTREMES_SHOWN, len(ids) // 2)
    best, worst = ids[::-1][:number], ids[:number]
    examples = {example.pair.pair_id: example for example in _examples(shards, normals, [*best, *worst])}
    return Extremes(*([examples[pair_id] for pair_id in chosen] for chosen in (best, worst)))


def _examples(shards: list[Path], normals: Path, chosen: Collection[str]) -> list[Example]:
    """Return the pairs of these ids, in the order of the shards, with their normal images."""
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


def _pairs(lock: Lock, item: Defect, revision: str) -> Dataset:
    output = lock.output(f"generate@{item.product}-{item.defect}")
    manifest = read_manifest(_tables(lock.root / output.path), Pair).to_pandas()
    name = f"{item.product}/{item.defect}"
    return Dataset(name, output.md5, _source(lock, output, revision), manifest, "pairs")


def base_samples(lock: Lock, product: str, revision: str) -> Dataset:
    """Return the samples that a product's generator and detectors learn from; `revision`: see `collect`."""
    output = lock.output(f"ingest@{product}", "data/base/*")
    manifest = read_manifest(sample_files(lock.root / output.path), Sample).to_pandas()
    name = f"{product}, base samples"
    return Dataset(name, output.md5, _source(lock, output, revision), manifest, "base")


def _source(lock: Lock, output: Output, revision: str) -> str:
    """Return the URI by which anybody can fetch an output."""
    return DvcFiles(output.path.as_posix(), revision, output.md5, repository_of(lock.root)).uri
