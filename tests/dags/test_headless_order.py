"""What a command sets and writes before Airflow is started."""

import os
import sys
from types import SimpleNamespace

import pytest

from dags.headless import __main__ as command_line
from dags.headless import refresh as launcher
from dags.headless.api import Airflow
from dags.headless.home import Home
from dags.headless.lifecycle import Running
from dags.headless.refresh import Order, audit, refresh
from pipeline_tasks.catalog import load_catalog
from pipeline_tasks.lineage.graph import load_graph
from pipeline_tasks.params import load_params


@pytest.mark.parametrize(
    ("options", "order"),
    [
        ([], Order(data=None, layout=None, shared=False, profile=None)),
        (["--data", "parts"], Order("parts")),
        (["--data", "parts", "--shared", "--profile", "sd15"], Order("parts", shared=True, profile="sd15")),
        (["--data", "parts", "--licence", "CC BY 4.0"], Order("parts", licence="CC BY 4.0")),
        (["--data", "parts", "--layout", "visa"], Order("parts", layout="visa")),
        (["--data", "parts", "--parts", "4"], Order("parts", parts=4)),
    ],
)
def test_the_command_line_is_passed_on(monkeypatch, options, order):
    given = []

    def refresh(home, order, port):
        """Remember the order."""
        given.append((order, port))
        return True

    monkeypatch.setattr(sys, "argv", ["dags.headless", "refresh", *options])
    monkeypatch.setattr(command_line, "refresh", refresh)
    assert command_line.main() == 0
    assert given == [(order, None)]


@pytest.mark.parametrize("command", ["retrain", "audit"])
@pytest.mark.parametrize("succeeds", [True, False])
def test_a_run_of_another_dag_is_ordered_by_its_name_and_decides_the_status(monkeypatch, command, succeeds):
    given = []

    def order(home, port):
        """Remember the port."""
        given.append(port)
        return succeeds

    order.__name__ = command
    monkeypatch.setattr(sys, "argv", ["dags.headless", command, "--port", "4711"])
    monkeypatch.setattr(command_line, command, order)
    assert command_line.main() == (0 if succeeds else 1)
    assert given == [4711]


@pytest.fixture
def started(tiny_pipeline, monkeypatch):
    """The parameters, catalog and graph digest that an Airflow, of which nothing else is real, is started with."""
    seen = []

    def start(home, port, digest, dags, **environment):
        files = {"params": load_params(), "catalog": load_catalog()}
        seen.append(SimpleNamespace(**files, digest=digest, dags=dags, **environment))
        return Running(Airflow(port), {"scheduler": os.getpid()})

    monkeypatch.setattr(launcher, "start_airflow", start)
    monkeypatch.setattr(launcher, "_run", lambda *_: True)
    return seen


@pytest.fixture
def parts(tiny_pipeline, product_folder):
    """Raw samples of two products, and a profile."""
    (tiny_pipeline / "profiles").mkdir()
    (tiny_pipeline / "profiles" / "quick.yaml").write_text("train: {steps: 7}\n")
    for name in ("bolt", "nut"):
        type(product_folder)(tiny_pipeline / "parts" / name).good(1).defect("dent", 1)
    return tiny_pipeline


def test_profile_and_catalog_are_set_before_airflow_reads_them(parts, started):
    before = load_graph(parts).digest
    assert refresh(Home(parts), Order("parts", shared=True, profile="quick", licence="CC BY 4.0", parts=2), None)
    (given,) = started
    assert given.params.train.steps == 7
    assert list(given.catalog.products) == ["bolt", "nut"]
    assert {defect.generator for defect in given.catalog.defects.values()} == {"shared"}
    assert {product.licence for product in given.catalog.products.values()} == {"CC BY 4.0"}
    assert {part.parts for part in given.catalog.parts.values()} == {2}
    assert given.digest == load_graph(parts).digest != before


def test_the_layout_is_set_before_airflow_reads_the_catalog(parts, started):
    nut = parts / "parts" / "nut"
    (nut / "test").rename(nut / "images")
    with pytest.raises(SystemExit):
        refresh(Home(parts), Order(str(nut), layout="plain"), None)
    (nut / "images/dent").rename(nut / "imgs")
    (nut / "ground_truth/dent").rename(nut / "masks")
    assert refresh(Home(parts), Order(str(nut), layout="plain"), None)
    (given,) = started
    assert given.catalog.products["nut"].layout == "plain"


def test_without_an_order_everything_stays_as_it_is(parts, started):
    files = [parts / "params.yaml", parts / "catalog.yaml"]
    before = [file.read_bytes() for file in files]
    assert refresh(Home(parts), Order(), None)
    assert audit(Home(parts), None)
    assert [file.read_bytes() for file in files] == before
    assert [given.dags for given in started] == [("dataset_refresh",), ("lineage_audit",)]
    assert {(given.DEFECTLINE_SCHEDULE, given.DEFECTLINE_AUDIT_SCHEDULE) for given in started} == {("none", "none")}


@pytest.mark.parametrize(
    ("order", "complaint"),
    [
        (Order("parts", profile="slow"), "error: no profile 'slow'; there are quick"),
        (Order("nowhere", profile="quick"), "error: nowhere: no such folder"),
    ],
)
def test_what_cannot_be_carried_out_starts_nothing(parts, started, order, complaint, capfd):
    before = (parts / "catalog.yaml").read_bytes()
    with pytest.raises(SystemExit) as end:
        refresh(Home(parts), order, None)
    assert end.value.code == 1
    assert complaint in capfd.readouterr().err
    assert (parts / "catalog.yaml").read_bytes() == before
    assert started == []
