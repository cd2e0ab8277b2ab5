"""Airflow's metadata in PostgreSQL, as on a cluster."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from servers import postgres

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def database(tmp_path):
    with postgres(tmp_path / "postgres", "airflow") as uris:
        yield uris["airflow"]


def test_a_refresh_is_kept_in_postgres(environment, refreshed, tmp_path, database):
    settings = {
        **environment,
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "DEFECTLINE_ROOT": str(refreshed),
    }
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=settings, check=True, capture_output=True)
    script = [sys.executable, str(Path(__file__).parent / "run_dag.py"), str(REPOSITORY / "dags"), "dataset_refresh"]
    done = subprocess.run(script, env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    with sa.create_engine(database).connect() as connection:
        runs = connection.execute(sa.text("select dag_id, state from dag_run")).all()
        tasks = connection.execute(sa.text("select task_id, state from task_instance")).all()
    assert runs == [("dataset_refresh", told["run"])] and dict(map(tuple, tasks)) == told["tasks"]
    assert told["tasks"]["generate.plate-pit"] == "success"
    assert not (tmp_path / "airflow/airflow.db").exists()
