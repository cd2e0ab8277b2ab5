"""Every error this project raises on purpose. A message names what is wrong, where, and what to do about it."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class DefectlineError(Exception):
    """Root of all expected errors: the command line prints the message and exits with their status, no traceback.

    Status 1 is final: the same input fails again.
    """

    status = 1


class ConfigError(DefectlineError):
    """params.yaml, catalog.yaml or an option is wrong."""


class DataError(DefectlineError):
    """Raw data cannot be used: a folder is missing or empty, or no sample is left after setting bad ones aside."""


class SchemaError(DefectlineError):
    """A table does not have the columns and types that schema.py declares."""


class LeakageError(DefectlineError):
    """A test sample reached a step that may see the base split only."""


class ModelError(DefectlineError):
    """A trained model is missing, damaged, or does not know the requested defect."""


class ValidationFailed(DefectlineError):  # noqa: N818 - reads as the sentence it is
    """The quality gate refused the pairs of a product."""


class AuditFailed(DefectlineError):  # noqa: N818 - reads as the sentence it is
    """A link between a version and what it is made of does not hold."""


class TransientError(DefectlineError):
    """What may pass: a later try of the same may succeed, and a scheduler makes one. Status: EX_TEMPFAIL."""

    status = 75


class PublicationError(TransientError):
    """Committing the lock, pushing the data or registering the version failed."""


class StorageError(TransientError):
    """The operating system refuses a file: the disk is full or read-only, or something is in the way."""


_REMEDIES = {
    errno.ENOSPC: "free space there",
    errno.EDQUOT: "free space there, or have the quota raised",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EROFS: "make it writable",
    errno.EACCES: "give this user the right to it",
    errno.EPERM: "give this user the right to it",
    errno.EEXIST: "move away the file that is in the place of a folder",
    errno.ENOTDIR: "move away the file that is in the place of a folder",
    errno.EISDIR: "move away the folder that is in the place of a file",
    errno.EIO: "check the disk",
}
_CODE = re.compile(r"(?:Errno|os error) (\d+)")
"""How Python, Arrow and Rust's libraries quote the operating system; DVC passes Python's words on."""


def find_refusal(told: str) -> tuple[str, str] | None:
    """Return the reason and the remedy if the text of an error tells of a refusal by the operating system."""
    code = int(found[1]) if (found := _CODE.search(told)) else 0
    return (os.strerror(code), f"{_REMEDIES[code]}, then run this again") if code in _REMEDIES else None


@contextmanager
def refusals_named(path: Path | None = None) -> Iterator[None]:
    """Raise a refusal of the operating system as StorageError, naming the file it names, or else `path`."""
    try:
        yield
    except Exception as error:
        is_refusal = isinstance(error, OSError) or type(error).__name__ == "SafetensorError"
        if is_refusal and (found := find_refusal(str(error))):
            where = getattr(error, "filename", None) or path or Path.cwd()
            raise StorageError(f"{where}: {'; '.join(found)}") from error
        raise


def without_secrets(text: str) -> str:
    """Return `text` with the user, password and query of every URI in it removed."""
    return re.sub(r"(\w+://[^\s?'\"]*)\?[^\s'\"]*", r"\1", re.sub(r"://[^\s'\"]*@", "://", text))
