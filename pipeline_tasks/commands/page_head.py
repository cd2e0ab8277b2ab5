"""What heads the pages of `register` and `retrain`: a version, the code that made it, and its run in MLflow."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline_tasks.report.contents import Head
    from pipeline_tasks.tracking.run import Run

DIRTY_TAG = "defectline.git_dirty"


def revision_tags() -> dict[str, str]:
    """Return the tags of a run that say which code it is of."""
    from pipeline_tasks.lineage.revision import git_revision
    from pipeline_tasks.tracking.run import REVISION_TAG

    revision, dirty = git_revision(Path())
    return {REVISION_TAG: revision, DIRTY_TAG: str(dirty).lower()}


def head_of(version: str, run: "Run", uri: str, release: str = "") -> "Head":
    """Return the head of the page of `version`, whose run is in the MLflow store at `uri`."""
    from pipeline_tasks.errors import without_secrets
    from pipeline_tasks.report.contents import Head
    from pipeline_tasks.tracking.run import REVISION_TAG

    page = f"{without_secrets(uri).rstrip('/')}/#/experiments/{run.experiment_id}/runs/{run.run_id}"
    return Head(
        version=version,
        created=run.created,
        git_revision=run.tags.get(REVISION_TAG, ""),
        git_dirty=run.tags.get(DIRTY_TAG) == "true",
        run_id=run.run_id,
        run_url=page if uri.startswith("http") else None,
        release=release,
    )
