"""`defectline retrain`: the champion data set in MLflow -> registered detectors, champion or challenger, and a page.

It is no stage of dvc.yaml: see stages/retrain.py.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_tasks.commands.names import Name

if TYPE_CHECKING:
    from pipeline_tasks.lineage.lock import Lock
    from pipeline_tasks.params import Params
    from pipeline_tasks.stages.retrain import Ground


def retrain(product: Name) -> None:
    """Train a product's detectors as its champion data set recommends, and register them; nothing is done twice."""
    import torch

    from pipeline_tasks.commands.detector_entry import enter_all
    from pipeline_tasks.commands.lessons import Lessons
    from pipeline_tasks.commands.mlflow_store import mlflow_store
    from pipeline_tasks.lineage.turns import in_turn
    from pipeline_tasks.params import load_params
    from pipeline_tasks.tracking.datasets import champion_dataset
    from pipeline_tasks.tracking.registry import connect

    params = load_params()
    torch.set_num_threads(params.retrain.threads)
    lock, licence = _lock_of(product)
    ground, (uri, artifacts) = _ground(lock, product, params), mlflow_store()
    if not ground.defects:
        print(f"{product}: the base set holds no defect image, so there is no detector to train")
        return
    with in_turn(f"retrain-{product}"), connect(uri, params.register_.experiment, artifacts) as registry:
        champion = champion_dataset(registry.models, product)
        lessons = Lessons(params, lock, ground, registry.models, champion, licence)
        print(f"{product}: {lessons.note or f'trained as version {lessons.origin.version} of its data set recommends'}")
        results = lessons.results()
        with in_turn("register"):
            enter_all(registry, lessons, results, uri)


def _lock_of(product: str) -> "tuple[Lock, str]":
    """Return dvc.lock, which names the product's samples that are in the workspace, and their licence."""
    from pipeline_tasks.catalog import load_catalog
    from pipeline_tasks.errors import ConfigError
    from pipeline_tasks.lineage.lock import load_lock

    catalog = load_catalog()
    if product not in catalog.products:
        raise ConfigError(f"--product: catalog.yaml has no '{product}'; it has {', '.join(catalog.products)}")
    lock = load_lock(Path(), catalog)
    lock.check_workspace([f"ingest@{product}"])
    return lock, catalog.products[product].licence


def _ground(lock: "Lock", product: str, params: "Params") -> "Ground":
    from pipeline_tasks.commands.ingredients import read_samples
    from pipeline_tasks.stages.retrain import Ground

    base, test = (read_samples(lock.output(f"ingest@{product}", f"data/{split}/*").path) for split in ("base", "test"))
    return Ground(product, base, test, params.choose, params.masks.perlin, params.run.seed)
