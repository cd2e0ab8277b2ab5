"""The files of a registered version: whether they are as they were registered."""

from pipeline_tasks.audit.chain import Link
from pipeline_tasks.errors import PublicationError
from pipeline_tasks.lineage.lock import md5_of
from pipeline_tasks.storage import content_digest
from pipeline_tasks.tracking.artifacts import downloaded
from pipeline_tasks.tracking.logged_models import FILES_TAG
from pipeline_tasks.tracking.models import Models, ModelVersion

SWAPPED = "something else was put in its place: bring MLflow's artifacts back, or register the version again"
GONE = ("No such file", "No such artifact", "does not exist", "not found", "NoSuchKey")
"""What MLflow's stores of artifacts say of what they do not have; what else they say may pass."""


def files_link(models: Models, found: ModelVersion, of_lock: tuple[str, str] | None = None) -> Link:
    """Return whether a registered version's files are as they were registered; of one of them (`of_lock`: its path and
    its MD5 as in dvc.lock) whether it is what the version's stage made.
    """
    name, wanted = f"{found.model} version {found.number}: files", found.tags.get(FILES_TAG)
    try:
        with downloaded(models, found) as folder:
            digest, own = content_digest(folder), md5_of(folder / of_lock[0]) if of_lock else None
    except PublicationError as error:
        gone = any(sign in str(error) for sign in GONE)
        return Link(name, "broken" if gone else "unchecked", f"they cannot be had: {error}", SWAPPED)
    if of_lock and own != of_lock[1]:
        return Link(name, "broken", f"{of_lock[0]} has MD5 {own}, in dvc.lock it is {of_lock[1]}", SWAPPED)
    if wanted is None:
        return Link(name, "unchecked", "an earlier defectline registered it, without a digest of its files")
    if digest != wanted:
        return Link(name, "broken", f"their digest is {digest}, and it was registered with {wanted}", SWAPPED)
    return Link(name, "ok", f"as they were registered, {wanted[:12]}")
