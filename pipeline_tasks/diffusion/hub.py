"""Pipelines on the Hugging Face hub: what is needed of one is downloaded once, into the hub's own cache."""

from collections.abc import Sequence
from pathlib import Path

from pipeline_tasks.errors import ModelError


def folder_of(key: str, name: str, revision: str, files: Sequence[str]) -> Path:
    """Return the folder called `name`, or that of the hub id `name`, with those of `files` that the hub has.

    Raises ModelError, naming the `key` of params.yaml, if it is neither, or not to be had.
    """
    if Path(name).is_dir():
        return Path(name)
    if name.count("/") != 1 or name.startswith((".", "~", "/")):
        raise ModelError(
            f"{key} = '{name}': no such folder; name a folder in diffusers format or a hub id (owner/name)"
        )
    return fetch(key, name, revision, files)


def fetch(key: str, repository: str, revision: str, files: Sequence[str]) -> Path:
    """Return the folder of a repository's snapshot, which then holds those of `files` that the repository has.

    Without a network, or with HF_HUB_OFFLINE=1, it is what the cache holds. Raises ModelError, naming the
    `key` of params.yaml, if it is not to be had.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=list(files)))
    except LocalEntryNotFoundError as error:
        raise _not_there(key, repository, revision, "not in the cache, and the hub is not reached") from error
    except (HfHubHTTPError, HFValidationError) as error:
        raise _not_there(key, repository, revision, str(error).strip().splitlines()[0]) from error


def _not_there(key: str, repository: str, revision: str, reason: str) -> ModelError:
    from huggingface_hub import constants

    reason += " (HF_HUB_OFFLINE is set)" if constants.HF_HUB_OFFLINE else ""
    return ModelError(
        f"{key} = '{repository}', revision '{revision}': {reason}. Looked in {constants.HF_HUB_CACHE} and "
        f"at {constants.ENDPOINT}/{repository}. To get it, run `hf download {repository} --revision {revision}` where "
        "there is a network, set HF_HOME to the folder that holds the cache, or name a local folder"
    )
