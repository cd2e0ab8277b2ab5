"""Reaching an MLflow store: a database or a server, its settings, and its errors in this project's words."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from pipeline_tasks.errors import PublicationError, refusals_named, without_secrets

SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # an unreachable server is given up on in seconds
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # it would show the credentials in the URI
}
SQL_SCHEMES = ("sqlite", "postgresql", "mysql", "mssql")


class Reached(Protocol):
    """Something that speaks to the MLflow store at `uri`."""

    @property
    def uri(self) -> str:
        """Where the store is, credentials included: for MLflow, not for people."""


Store = TypeVar("Store", bound=Reached)
Given = ParamSpec("Given")
Returned = TypeVar("Returned")


@contextmanager
def client_of(uri: str) -> Iterator[Any]:
    """Yield MLflow's client of the store at `uri`; the tracking URI of the surroundings is restored in the end.

    Raises PublicationError if `uri` is neither a database nor a server, or a database that cannot be opened.
    """
    if not uri.partition("://")[0].startswith((*SQL_SCHEMES, "http")):
        raise PublicationError(
            f"MLflow at {without_secrets(uri)}: not a database or a server, and MLflow has given up its file store; "
            "set MLFLOW_TRACKING_URI to sqlite:///FILE or http://HOST:PORT, or unset it"
        )
    os.environ.update(SETTINGS)
    before = os.environ.get("MLFLOW_TRACKING_URI")
    import mlflow

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    mlflow.set_tracking_uri(uri)
    try:
        with errors_named(uri):
            if uri.startswith(SQL_SCHEMES):
                _try_database(uri)
            client = mlflow.MlflowClient()
        yield client
    finally:
        mlflow.set_tracking_uri(before)


@contextmanager
def errors_named(uri: str) -> Iterator[None]:
    """Raise what MLflow and its database raise as a PublicationError that says where and what to do."""
    from mlflow import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with refusals_named():
            yield
    except (MlflowException, SQLAlchemyError, ImportError, OSError) as error:
        reason = without_secrets((str(error) or repr(error)).splitlines()[0])
        raise PublicationError(
            f"MLflow at {without_secrets(uri)}: {reason}; {_remedy(uri)}, then run this again: "
            "what is already done is not repeated"
        ) from error


def names_errors(
    method: Callable[Concatenate[Store, Given], Returned],
) -> Callable[Concatenate[Store, Given], Returned]:
    """Let a method that speaks to MLflow raise its errors as `errors_named` does."""

    @wraps(method)
    def naming(self: Store, /, *args: Given.args, **kwargs: Given.kwargs) -> Returned:
        with errors_named(self.uri):
            return method(self, *args, **kwargs)

    return naming


def _remedy(uri: str) -> str:
    return (
        "make it writable and free space there"
        if uri.startswith("sqlite")
        else "start it or correct MLFLOW_TRACKING_URI"
    )


def _try_database(uri: str) -> None:
    """Connect once, because MLflow would try for minutes; a new SQLite file gets its folder."""
    from sqlalchemy import create_engine, make_url

    url = make_url(uri)
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url)
    try:
        engine.connect().close()
    finally:
        engine.dispose()
