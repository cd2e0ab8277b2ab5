"""`defectline register`: dvc.lock and what it names -> a run in MLflow, a report, and a champion or challenger."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_tasks.lineage.turns import in_turn
from pipeline_tasks.params import load_params

if TYPE_CHECKING:
    from pipeline_tasks.lineage.collect import Version
    from pipeline_tasks.report.contents import Previous, ProductContents, Standing
    from pipeline_tasks.tracking.datasets import DatasetVersion
    from pipeline_tasks.tracking.models import Models
    from pipeline_tasks.tracking.registry import Recorded
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
    from pipeline_tasks.stages import register as stage
    from pipeline_tasks.tracking.registry import Record, connect

    params, catalog = load_params(), load_catalog()
    lock = load_lock(Path(), catalog)
    lock.check_workspace()
    version = collect(lock, catalog, params.register_.sample_pairs)
    values, folder = stage.flat_params(params), REPORTS / lock.version
    uri, artifacts = mlflow_store()
    with connect(uri, params.register_.experiment, artifacts) as registry:
        run = registry.begin(lock.version, revision_tags())
        entered = [_enter(registry.models, run, product) for product in version.products]
        previous = _previous(registry.previous(run))
        standings = [_standing(registry.models, dataset) for dataset in entered]
        head = head_of(lock.version, run, uri)
        _write_files(folder, stage.run(head, version.products, standings, previous, values), version.docs)
        if not run.finished:
            measured = stage.metrics(version.products)
            registry.complete(run, Record(values, measured, version.datasets, version.generators, folder))
        rulings = [_settle(registry.models, dataset) for dataset in entered]
    print(f"{'already registered' if run.finished else 'registered'}: version {lock.version}", *rulings, sep="\n")
    _write_latest(lock.version, version, run, uri)


def _enter(models: "Models", run: "Run", contents: "ProductContents") -> "DatasetVersion":
    """Let the gate judge a product's data set and register it so; what was registered for this lock before stays."""
    from pipeline_tasks.benefit.gate import rule
    from pipeline_tasks.tracking.datasets import Candidate, champion_dataset, enter

    champion = champion_dataset(models, contents.product)
    ruling, compared_with = rule(contents.choice, champion), champion.number if champion else None
    candidate = Candidate(contents.product, contents.choice, ruling.standing, ruling.reason, compared_with)
    return enter(models, run, candidate)


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
        "dataset": os.path.commonpath([Path(dataset.source).parent for dataset in version.datasets]),
    }
    write_json(REPORTS / "latest.json", published)
    for name in ("dataset", "report", "mlflow_run", "mlflow_uri"):
        print(f"{name.replace('_', ' ')}: {published[name]}")
