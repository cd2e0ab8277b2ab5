"""A refresh while another one, a retraining or an audit is under way."""

from types import SimpleNamespace

import pytest

from dags.headless import refresh as launcher
from dags.headless.home import HeadlessError, Home
from dags.headless.lifecycle import Running
from dags.headless.refresh import Order, refresh


@pytest.mark.parametrize(
    ("under_way", "what"),
    [("dataset_refresh", "a refresh"), ("detector_retraining", "a retraining"), ("lineage_audit", "an audit")],
)
def test_a_refresh_starts_nothing_while_its_files_are_written_or_read(tiny_pipeline, monkeypatch, under_way, what):
    def for_dag(dag):
        runs = ["scheduled"] if dag == under_way else []
        return SimpleNamespace(url="http://127.0.0.1:1", dag=dag, active_runs=lambda: runs, for_dag=for_dag)

    monkeypatch.setattr(launcher, "find_running", lambda _: Running(for_dag("dataset_refresh"), {}))
    monkeypatch.setattr(launcher, "start_airflow", lambda *_: pytest.fail("started another one"))
    with pytest.raises(HeadlessError, match=rf"{what} is running already, see http://127\.0\.0\.1:1; wait for it"):
        refresh(Home(tiny_pipeline), Order(), None)
