import os
import subprocess
import sys
from pathlib import Path

import pytest

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
    """Runs a script of this folder with an Airflow of its own and returns what it printed last."""
    home = tmp_path_factory.mktemp("airflow")
    core = {"LOAD_EXAMPLES": "False", "DAGS_FOLDER": str(REPOSITORY / "dags")}
    own = {**environment, "AIRFLOW_HOME": str(home), **{f"AIRFLOW__CORE__{key}": value for key, value in core.items()}}
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=own, check=True, capture_output=True)

    def run(script: str, root: Path, **variables: str) -> str:
        settings = {**own, "DEFECTLINE_ROOT": str(root), **variables}
        command = [sys.executable, str(Path(__file__).parent / script), str(REPOSITORY / "dags")]
        done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()[-1]

    return run
