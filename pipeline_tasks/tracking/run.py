"""The MLflow run of a version, and the tags by which what belongs to a version is found again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

LOCK_TAG = "defectline.lock"
"""The version, on its run and on every model version registered with it."""
DIGEST_TAG = "defectline.digest"
REVISION_TAG = "mlflow.source.git.commit"


@dataclass(frozen=True)
class Run:
    """The MLflow run of a version."""

    run_id: str
    experiment_id: str
    created: datetime
    tags: Mapping[str, str]
    finished: bool
