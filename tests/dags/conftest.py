import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from told import Told

REPOSITORY = Path(__file__).parents[2]
sys.path.insert(0, str(REPOSITORY))  # the launcher is run from there, not installed


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Environment of subprocesses: this checkout, registration replaced, nothing of the caller's Airflow."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW_", "DEFECTLINE_"))}
    path = os.pathsep.join([str(Path(__file__).parent / "fakes"), str(REPOSITORY)])
    return {**inherited, "PYTHONPATH": path, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}


@pytest.fixture(scope="session")
def airflow(environment, tmp_path_factory):
    """Runs a script of this folder with an Airflow of its own and returns the line of JSON that it printed."""
    home = tmp_path_factory.mktemp("airflow")
    core = {"LOAD_EXAMPLES": "False", "DAGS_FOLDER": str(REPOSITORY / "dags")}
    own = {**environment, "AIRFLOW_HOME": str(home), **{f"AIRFLOW__CORE__{key}": value for key, value in core.items()}}
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=own, check=True, capture_output=True)

    def run(script: str, root: Path, *arguments: str, **variables: str) -> str:
        settings = {**own, "DEFECTLINE_ROOT": str(root), **variables}
        command = [sys.executable, str(Path(__file__).parent / script), str(REPOSITORY / "dags"), *arguments]
        done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return next(line for line in done.stdout.splitlines() if line.startswith("{"))

    return run


@pytest.fixture(scope="session")
def tell(airflow):
    """Runs a DAG on a repository; returns what became of it and what its tasks told OpenLineage."""

    def run(repository: Path, dag: str, **variables: str) -> tuple[dict, Told]:
        path = repository / ".work" / "events.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        transport = json.dumps({"type": "file", "log_file_path": str(path), "append": True})
        ran = json.loads(airflow("run_dag.py", repository, dag, AIRFLOW__OPENLINEAGE__TRANSPORT=transport, **variables))
        return ran, Told(path)

    return run
