"""`defectline promote`: make a registered version the champion by hand, on record."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline_tasks.commands.names import NamedProduct, OptionalName
from pipeline_tasks.lineage.turns import in_turn
from pipeline_tasks.params import load_params


def promote(
    product: NamedProduct,
    version: Annotated[str, typer.Argument(help="its number in MLflow, or the version that the report is of")],
    reason: Annotated[str, typer.Option(help="kept with the version")],
    detector: OptionalName = None,
) -> None:
    """Make a version of a product's data set, or of a detector, the champion by hand; who and why is recorded."""
    from datetime import UTC, datetime

    from pipeline_tasks.commands.mlflow_store import mlflow_store
    from pipeline_tasks.errors import ConfigError
    from pipeline_tasks.lineage.revision import git_identity
    from pipeline_tasks.tracking.datasets import DATASET
    from pipeline_tasks.tracking.models import Act, model_name
    from pipeline_tasks.tracking.registry import connect

    if not reason.strip():
        raise ConfigError("--reason: empty; say why the version is promoted, for those who wonder later")
    (uri, artifacts), experiment = mlflow_store(), load_params().register_.experiment
    model = model_name(product, detector or DATASET)
    act = Act(git_identity(Path()), datetime.now(UTC).isoformat(timespec="seconds"), reason.strip())
    with in_turn("register"), connect(uri, experiment, artifacts) as registry:
        promoted, before = registry.models.promote(model, version, act)
    if before == promoted.number:
        print(f"{model}: version {promoted.number} is the champion already; nothing is changed")
    else:
        instead = f"instead of version {before}" if before else "the first one"
        print(f"{model}: version {promoted.number} is the champion now, {instead}; recorded as the act of {act.by}")
