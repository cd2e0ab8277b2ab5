"""Every error this project raises on purpose. A message names what is wrong, where, and what to do about it."""


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


class PublicationError(DefectlineError):
    """Committing the lock, pushing the data or registering the version failed; a later try may succeed."""

    status = 75
