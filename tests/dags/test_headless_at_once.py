"""A refresh while another one is under way."""

from types import SimpleNamespace

import pytest

from dags.headless import refresh as launcher
from dags.headless.home import HeadlessError, Home
from dags.headless.lifecycle import Running
from dags.headless.refresh import Order, refresh


def test_where_the_schedule_is_refreshing_a_second_refresh_starts_nothing(tiny_pipeline, monkeypatch):
    airflow = SimpleNamespace(url="http://127.0.0.1:1", dag="dataset_refresh", active_runs=lambda: ["scheduled"])
    airflow.for_dag = lambda _: airflow
    monkeypatch.setattr(launcher, "find_running", lambda _: Running(airflow, {}))
    monkeypatch.setattr(launcher, "start_airflow", lambda *_: pytest.fail("started another one"))
    with pytest.raises(HeadlessError, match=r"a refresh is running already, see http://127\.0\.0\.1:1; wait for it"):
        refresh(Home(tiny_pipeline), Order(), None)
