"""`defectline register`: dvc.lock and what it names -> a run in MLflow and a report."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_tasks.lineage.turns import in_turn
from pipeline_tasks.params import load_params

if TYPE_CHECKING:
    from pipeline_tasks.lineage.collect import Version
    from pipeline_tasks.report.contents import Head
    from pipeline_tasks.tracking.registry import Run

REPORTS = Path("reports")
MLFLOW = Path(".mlflow")


@in_turn("register")
def register() -> None:
    """Register the version that dvc.lock describes. Run again for the same lock, it completes or repeats nothing."""
    from pipeline_tasks.catalog import load_catalog
    from pipeline_tasks.errors import without_secrets
    from pipeline_tasks.lineage.collect import collect
    from pipeline_tasks.lineage.lock import load_lock
    from pipeline_tasks.lineage.revision import git_revision
    from pipeline_tasks.stages import register as stage
    from pipeline_tasks.storage import write_json
    from pipeline_tasks.tracking.registry import Record, connect

    params, catalog = load_params(), load_catalog()
    lock = load_lock(Path(), catalog)
    lock.check_workspace()
    version = collect(lock, catalog, params.register_.sample_pairs)
    revision, dirty = git_revision(Path())
    tags = {"mlflow.source.git.commit": revision, "defectline.git_dirty": str(dirty).lower()}
    own_uri = os.environ.get("MLFLOW_TRACKING_URI")
    uri = own_uri or f"sqlite:///{(MLFLOW / 'mlflow.db').resolve()}"
    folder = REPORTS / lock.version
    with connect(uri, params.register_.experiment, None if own_uri else MLFLOW / "artifacts") as registry:
        run = registry.begin(lock.version, tags)
        _write_files(folder, _head(lock.version, run, uri), version)
        if not run.finished:
            values, measured = stage.flat_params(params), stage.metrics(version.products)
            registry.complete(run, Record(values, measured, version.datasets, version.generators, folder))
    dataset = os.path.commonpath([Path(d.source).parent for d in version.datasets])
    published = {
        "version": lock.version,
        "report": str(folder / "report.html"),
        "mlflow_run": run.run_id,
        "mlflow_uri": without_secrets(uri),
        "dataset": dataset,
    }
    write_json(REPORTS / "latest.json", published)
    print(f"{'already registered' if run.finished else 'registered'}: version {lock.version}")
    for name in ("dataset", "report", "mlflow_run", "mlflow_uri"):
        print(f"{name.replace('_', ' ')}: {published[name]}")


def _head(version: str, run: "Run", uri: str) -> "Head":
    from pipeline_tasks.errors import without_secrets
    from pipeline_tasks.report.contents import Head

    page = f"{without_secrets(uri).rstrip('/')}/#/experiments/{run.experiment_id}/runs/{run.run_id}"
    return Head(
        version=version,
        created=run.created,
        git_revision=run.tags.get("mlflow.source.git.commit", ""),
        git_dirty=run.tags.get("defectline.git_dirty") == "true",
        run_id=run.run_id,
        run_url=page if uri.startswith("http") else None,
    )


def _write_files(folder: Path, head: "Head", version: "Version") -> None:
    import shutil

    from pipeline_tasks.stages import register as stage
    from pipeline_tasks.storage import atomic_folder

    with atomic_folder(folder) as fresh:
        for name, content in stage.run(head, version.products):
            (fresh / name).parent.mkdir(exist_ok=True)
            (fresh / name).write_bytes(content)
        for product, docs in version.docs.items():
            shutil.copytree(docs, fresh / "data_docs" / product)
