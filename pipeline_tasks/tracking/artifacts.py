"""The files of registered versions, brought back as they were registered."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline_tasks.errors import PublicationError
from pipeline_tasks.tracking.models import Models, ModelVersion
from pipeline_tasks.tracking.store import errors_named

ADDED = "registered_model_meta"
"""File that MLflow puts beside those that it downloads."""


@contextmanager
def downloaded(models: Models, version: ModelVersion, artifact: str = "") -> Iterator[Path]:
    """Yield a version's files in a temporary folder, or that one of its files and folders which is called `artifact`.

    Their `content_digest` is the tag FILES_TAG. Raises PublicationError if MLflow does not have them or cannot be
    reached.
    """
    from mlflow.artifacts import download_artifacts

    with TemporaryDirectory(prefix="defectline-") as place:
        with errors_named(models.uri):
            uri = f"{version.uri}/{artifact}" if artifact else version.uri
            path = Path(download_artifacts(uri, dst_path=place, tracking_uri=models.uri))
        if path.is_dir() and not any(path.iterdir()):
            raise PublicationError(f"{version.uri}: MLflow keeps no files of it; bring its artifact store back")
        if not artifact:
            (path / ADDED).unlink(missing_ok=True)
        yield path
