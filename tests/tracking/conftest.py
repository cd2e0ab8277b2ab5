import hashlib
import shutil

import pytest
from mlflow import MlflowClient

from pipeline_tasks.tracking.registry import connect


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """An MLflow database without content, to be copied, as making one takes seconds."""
    file = tmp_path_factory.mktemp("empty") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture(scope="session")
def store(tmp_path_factory, empty_database):
    """A folder with one database for all tests: each test has its own version and model name."""
    folder = tmp_path_factory.mktemp("mlflow")
    shutil.copy(empty_database, folder)
    return folder


@pytest.fixture
def uri(store):
    return f"sqlite:///{store}/mlflow.db"


@pytest.fixture
def registry(uri, store):
    with connect(uri, "defectline", store / "artifacts") as registry:
        yield registry


@pytest.fixture
def name(request):
    """A name of this test alone, for a product or a model."""
    return f"p{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]}"
