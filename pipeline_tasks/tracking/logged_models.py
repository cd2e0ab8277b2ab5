"""Folders as MLflow keeps them for versions of registered models: logged models, each uploaded once and sealed."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline_tasks.storage import content_digest
from pipeline_tasks.tracking.run import Run

FILES_TAG = "defectline.files_digest"
"""The `content_digest` of a version's files as they were registered: a file that is swapped later shows."""


def uploaded(client: Any, run: Run, model: str, folder: Path, key: Mapping[str, str]) -> Any:
    """Return `folder` as a logged model called `model`, tagged with the one tag `key` and FILES_TAG.

    One that was uploaded before under that key is returned as it is; one whose upload was cut short is passed over.
    """
    ((tag, value),) = key.items()
    found = client.search_logged_models([run.experiment_id], f"tags.`{tag}` = '{value}'")
    whole = [logged for logged in found if logged.name == model and logged.status == "READY"]
    if sealed := [logged for logged in whole if FILES_TAG in logged.tags]:
        return sealed[0]
    tags = {**key, FILES_TAG: content_digest(folder)}
    logged = client.create_logged_model(run.experiment_id, model, run.run_id, tags)
    client.log_model_artifacts(logged.model_id, str(folder))
    return client.finalize_logged_model(logged.model_id, "READY")


def every(search: Callable[..., Any], query: str) -> Iterator[Any]:
    """Yield all that one of MLflow's searches finds, page by page."""
    token = None
    while True:
        page = search(query, page_token=token)
        yield from page
        token = page.token
        if not token:
            return
