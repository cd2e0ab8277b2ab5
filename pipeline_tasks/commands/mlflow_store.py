"""Where a command finds MLflow: at MLFLOW_TRACKING_URI, or in the repository."""

import os
from pathlib import Path

FOLDER = Path(".mlflow")


def mlflow_store() -> tuple[str, Path | None]:
    """Return the store's URI and where it keeps files: by default a database and a folder in .mlflow/.

    None: a server, or a database named by the user, keeps its own files.
    """
    own = os.environ.get("MLFLOW_TRACKING_URI")
    return (own, None) if own else (f"sqlite:///{(FOLDER / 'mlflow.db').resolve()}", FOLDER / "artifacts")
