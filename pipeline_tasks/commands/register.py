"""`defectline register`: dvc.lock and what it names -> a run in MLflow, a report, and a champion or challenger."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_tasks.lineage.turns import in_turn
from pipeline_tasks.params import load_params

if TYPE_CHECKING:
    from pipeline_tasks.catalog import Catalog
    from pipeline_tasks.lineage.collect import Version
    from pipeline_tasks.report.contents import Previous, Standing
    from pipeline_tasks.report.dataset_card import CardOrigin, CardProduct
    from pipeline_tasks.tracking.datasets import DatasetVersion
    from pipeline_tasks.tracking.models import Models, ModelVersion
    from pipeline_tasks.tracking.registry import Recorded, Registry
    from pipeline_tasks.tracking.run import Run

REPORTS = Path("reports")


@in_turn("register")
def register() -> None:
    """Register the version that dvc.lock describes. Run again for the same lock, it completes or repeats nothing."""
    from pipeline_tasks.catalog import load_catalog
    from pipeline_tasks.commands.mlflow_store import mlflow_store
    from pipeline_tasks.commands.page_head import head_of, revision_tags
    from pipeline_tasks.lineage.collect import collect
    from pipeline_tasks.lineage.lock import load_lock
    from pipeline_tasks.report.dataset_card import card_product
    from pipeline_tasks.stages import register as stage
    from pipeline_tasks.tracking.registry import Record, connect

    params, catalog = load_params(), load_catalog()
    lock = load_lock(Path(), catalog)
    lock.check_workspace()
    origin = _origin(lock.version)
    version = collect(lock, catalog, params.register_.sample_pairs, origin.git_revision)
    values, folder = stage.flat_params(params), REPORTS / lock.version
    uri, artifacts = mlflow_store()
    with connect(uri, params.register_.experiment, artifacts) as registry:
        run = registry.begin(lock.version, revision_tags())
        products = {contents.product: card_product(contents, "") for contents in version.products}
        cards = _generator_cards(origin, version, catalog, products)
        generators = _enter_generators(registry, run, lock.root, version, cards)
        made_by = {name: generators[catalog.generator_of(name)] for name in products}
        entered = [_enter(registry.models, run, origin, product, made_by[p]) for p, product in products.items()]
        previous = _previous(registry.previous(run))
        standings = [_standing(registry.models, dataset) for dataset in entered]
        head = head_of(lock.version, run, uri, origin.release)
        files = {**_dataset_card(origin, products, entered), **_named(cards, generators)}
        _write_files(folder, stage.run(head, version.products, standings, previous, values, files), version.docs)
        if not run.finished:
            measured, models = stage.metrics(version.products), [*generators.values(), *(d.registered for d in entered)]
            registry.complete(run, Record(values, measured, version.datasets, models, folder))
        rulings = [_settle(registry.models, dataset) for dataset in entered]
    print(f"{'already registered' if run.finished else 'registered'}: version {lock.version}", *rulings, sep="\n")
    _write_latest(lock.version, version, run, uri)


def _origin(version: str) -> "CardOrigin":
    """Return what the version's lock is called, the number of its release, and the commit that keeps it.

    Before it is published, that commit is the one that is checked out, which may keep another lock.
    """
    from pipeline_tasks.lineage.releases import release_of
    from pipeline_tasks.lineage.revision import git_revision
    from pipeline_tasks.report.dataset_card import CardOrigin

    if release := release_of(Path(), version):
        return CardOrigin(version, str(release.number), release.revision)
    return CardOrigin(version, "", git_revision(Path())[0])


def _generator_cards(
    origin: "CardOrigin", version: "Version", catalog: "Catalog", products: "Mapping[str, CardProduct]"
) -> dict[str, str]:
    """Return the card of each generator, by its name."""
    from pipeline_tasks.report.model_card import render_generator_card

    served = {g: [each for p, each in products.items() if catalog.generator_of(p) == g] for g in version.generators}
    return {name: render_generator_card(origin, one, served[name]) for name, one in version.generators.items()}


def _enter_generators(
    registry: "Registry", run: "Run", root: Path, version: "Version", cards: Mapping[str, str]
) -> "dict[str, ModelVersion]":
    """Register the generators, each once, with their cards as descriptions: no file may be added to those of DVC."""
    from pipeline_tasks.report.markdown import body_of
    from pipeline_tasks.tracking.registry import Generator

    return {
        name: registry.enter_generator(run, Generator(one.model, one.digest, root / one.path, body_of(cards[name])))
        for name, one in version.generators.items()
    }


def _enter(
    models: "Models", run: "Run", origin: "CardOrigin", product: "CardProduct", generator: "ModelVersion"
) -> "DatasetVersion":
    """Let the gate judge a product's data set and register it so; what was registered for this lock before stays."""
    from pipeline_tasks.benefit.gate import rule
    from pipeline_tasks.report.dataset_card import describe_dataset, render_card
    from pipeline_tasks.tracking.datasets import Candidate, champion_dataset, enter

    champion = champion_dataset(models, product.product)
    ruling = rule(product.choice, champion)
    ruled = replace(product, ruling=_ruling(ruling.standing, ruling.reason))
    candidate = Candidate(
        product=product.product,
        choice=product.choice,
        standing=ruling.standing,
        reason=ruling.reason,
        compared_with=champion.number if champion else None,
        generator_model=generator.uri,
        release=origin.release,
        git_revision=origin.git_revision,
        card=render_card(origin, [ruled]),
        description=describe_dataset(origin, ruled),
    )
    return enter(models, run, candidate)


def _ruling(standing: str, reason: str) -> str:
    return f"When it was registered, the gate made it a {standing}: {reason}"


def _dataset_card(
    origin: "CardOrigin", products: "Mapping[str, CardProduct]", entered: "Sequence[DatasetVersion]"
) -> dict[str, str]:
    """Return the card of the whole version, by the name of its file."""
    from pipeline_tasks.report.dataset_card import render_card

    ruled = [replace(products[each.product], ruling=_ruling(each.standing, each.reason)) for each in entered]
    return {"dataset_card.md": render_card(origin, ruled)}


def _named(cards: Mapping[str, str], generators: "Mapping[str, ModelVersion]") -> dict[str, str]:
    """Return the generators' cards by the names of their files."""
    return {f"cards/{generators[name].model}.md": card for name, card in cards.items()}


def _standing(models: "Models", dataset: "DatasetVersion") -> "Standing":
    """Return what the gate made of a data set, and who will be the champion once that is settled, by whose hand."""
    from pipeline_tasks.report.contents import Promotion, Standing

    champion = models.present_champion(dataset.registered)
    return Standing(
        product=dataset.product,
        standing=dataset.standing,
        reason=dataset.reason,
        model=dataset.registered.model,
        number=dataset.number,
        champion=champion.number if champion else None,
        promotion=Promotion(**vars(champion.act)) if champion and champion.act else None,
    )


def _previous(recorded: "Recorded | None") -> "Previous | None":
    from pipeline_tasks.report.contents import Previous

    return Previous(**vars(recorded)) if recorded else None


def _write_files(folder: Path, files: Iterable[tuple[str, bytes]], docs: Mapping[str, Path]) -> None:
    import shutil

    from pipeline_tasks.storage import atomic_folder

    with atomic_folder(folder) as fresh:
        for name, content in files:
            (fresh / name).parent.mkdir(exist_ok=True)
            (fresh / name).write_bytes(content)
        for product, pages in docs.items():
            shutil.copytree(pages, fresh / "data_docs" / product)


def _settle(models: "Models", dataset: "DatasetVersion") -> str:
    """Give a data set its alias, unless it has had it; return its standing, why, and who is the champion now."""
    registered = dataset.registered
    models.settle(registered)
    champion = models.champion(registered.model)
    present = f"the champion is version {champion.number}" if champion else "there is no champion"
    ruling = f"{dataset.product}: {dataset.standing}. {dataset.reason}"
    return f"{ruling}\n{registered.model}: this is version {dataset.number}; {present}"


def _write_latest(lock_version: str, version: "Version", run: "Run", uri: str) -> None:
    """Write and print what names the newest registered version."""
    from pipeline_tasks.errors import without_secrets
    from pipeline_tasks.storage import write_json

    published = {
        "version": lock_version,
        "report": str(REPORTS / lock_version / "report.html"),
        "mlflow_run": run.run_id,
        "mlflow_uri": without_secrets(uri),
        "dataset": os.path.commonpath([Path(d.path).parent for product in version.products for d in product.defects]),
    }
    write_json(REPORTS / "latest.json", published)
    for name in ("dataset", "report", "mlflow_run", "mlflow_uri"):
        print(f"{name.replace('_', ' ')}: {published[name]}")
