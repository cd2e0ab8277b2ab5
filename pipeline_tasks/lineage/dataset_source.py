"""MLflow's `dvc://` data set source: `mlflow.data.get_source(run.inputs.dataset_inputs[0]).load()` brings the files.

MLflow finds it by the entry point in pyproject.toml, and imports this module wherever it is imported itself: so it
imports nothing else of this package by itself, see tracking/served_detector.py.
"""

from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from mlflow.data.dataset_source import DatasetSource

if TYPE_CHECKING:
    from pipeline_tasks.lineage.dvc_files import DvcFiles


class DvcDatasetSource(DatasetSource):  # type: ignore[misc]
    """Files that DVC keeps; `uri` names them, see lineage/dvc_files.py."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    @property
    def files(self) -> "DvcFiles":
        """What the URI names. Raises ConfigError if it is no such URI."""
        from pipeline_tasks.lineage.dvc_files import DvcFiles

        return DvcFiles.parse(self.uri)

    def load(self, dst_path: str | None = None) -> str:
        """Fetch the files into the folder `dst_path`, by default a new temporary one; return where they are.

        They are what the run was made with: their digest is verified. Raises ConfigError or TransientError, see
        `DvcFiles.fetch`.
        """
        return str(self.files.fetch(Path(dst_path or mkdtemp(prefix="defectline-"))))

    @staticmethod
    def _get_source_type() -> str:
        return "dvc"

    @staticmethod
    def _can_resolve(raw_source: Any) -> bool:
        return isinstance(raw_source, str) and raw_source.startswith("dvc://")

    @classmethod
    def _resolve(cls, raw_source: Any) -> "DvcDatasetSource":
        return cls(raw_source)

    def to_dict(self) -> dict[str, str]:
        """Return what `from_dict` reads."""
        return {"uri": self.uri}

    @classmethod
    def from_dict(cls, source_dict: dict[str, str]) -> "DvcDatasetSource":
        """Return the source that `to_dict` told of."""
        return cls(source_dict["uri"])
