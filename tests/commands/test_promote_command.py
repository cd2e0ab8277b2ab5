import json
import shutil

import pytest
from choices import choice, lift
from mlflow import MlflowClient

from pipeline_tasks.tracking.datasets import Candidate, enter
from pipeline_tasks.tracking.models import REASON_TAG, STANDING_TAG
from pipeline_tasks.tracking.registry import connect
from pipeline_tasks.tracking.run import DIGEST_TAG


@pytest.fixture(scope="module")
def registered(tmp_path_factory):
    """An MLflow store with a champion and a challenger of the plate, and a detector without an alias."""
    folder = tmp_path_factory.mktemp("registered")
    with connect(uri_of(folder), "defectline", folder / "artifacts") as registry:
        for lock, standing in [("aaa", "champion"), ("bbb", "challenger")]:
            run = registry.begin(lock, {})
            candidate = Candidate("plate", choice(lift(0.03)), standing, "A reason.", None)
            registry.models.settle(enter(registry.models, run, candidate).registered)
        (folder / "unet").mkdir()
        tags = {DIGEST_TAG: "d", STANDING_TAG: "challenger", REASON_TAG: "Another."}
        registry.models.register(run, "defectline-plate-unet", folder / "unet", DIGEST_TAG, tags)
    return folder


@pytest.fixture
def repository(registered, tmp_path, monkeypatch, without_git_identity):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / ".mlflow").mkdir()
    shutil.copy(registered / "mlflow.db", tmp_path / ".mlflow")
    return tmp_path


def uri_of(folder):
    return f"sqlite:///{folder}/mlflow.db"


def model_of(repository, kind="dataset"):
    return MlflowClient(uri_of(repository / ".mlflow")).get_registered_model(f"defectline-plate-{kind}")


def acts_of(repository, number, kind):
    client = MlflowClient(uri_of(repository / ".mlflow"))
    return json.loads(client.get_model_version("defectline-plate-dataset", number).tags[f"defectline.{kind}"])


def test_a_promotion_is_told_and_recorded_with_who_when_and_why(repository, defectline, monkeypatch):
    monkeypatch.setenv("GIT_COMMITTER_NAME", "Ann")
    monkeypatch.setenv("GIT_COMMITTER_EMAIL", "ann@example.org")
    ran = defectline("promote", "plate", "2", "--reason", " the line needs it ")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out == (
        "defectline-plate-dataset: version 2 is the champion now, instead of version 1; recorded as the act of "
        "Ann <ann@example.org>\n"
    )
    assert {alias: str(n) for alias, n in model_of(repository).aliases.items()} == {"champion": "2"}
    (act,) = acts_of(repository, "2", "promotions")
    assert act == {"by": "Ann <ann@example.org>", "at": act["at"], "reason": "the line needs it", "other": "1"}
    assert act["at"].endswith("+00:00")
    assert acts_of(repository, "1", "demotions") == [act | {"other": "2"}]


def test_a_version_is_named_as_in_the_report_too(repository, defectline):
    assert defectline("promote", "plate", "bbb", "--reason", "x").status == 0
    assert str(model_of(repository).aliases["champion"]) == "2"


def test_a_detector_is_promoted_by_name(repository, defectline):
    ran = defectline("promote", "plate", "1", "--reason", "x", "--detector", "unet")
    assert "defectline-plate-unet: version 1 is the champion now, the first one; " in ran.out
    assert {alias: str(n) for alias, n in model_of(repository, "unet").aliases.items()} == {"champion": "1"}
    assert str(model_of(repository).aliases["champion"]) == "1"


def test_the_champion_stays_as_it_is(repository, defectline):
    ran = defectline("promote", "plate", "1", "--reason", "x")
    assert ran.out == "defectline-plate-dataset: version 1 is the champion already; nothing is changed\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["plate", "7"], "no 7; there are 1 (aaa), 2 (bbb)"),
        (["tile", "1"], "defectline-tile-dataset in MLflow at sqlite:///"),
        (["tile", "1"], "no 1; the models there are: defectline-plate-dataset, defectline-plate-unet"),
        (["plate", "1", "--detector", "draem"], "defectline-plate-draem in MLflow at sqlite:///"),
        (["it's", "1"], "product: 'it's' is no name: "),
        (["plate", "1", "--detector", "../x"], "--detector: '../x' is no name: "),
    ],
)
def test_what_is_not_there_is_refused_by_name(repository, defectline, arguments, told):
    ran = defectline("promote", *arguments, "--reason", "x")
    assert (ran.status, ran.out) == (1, "")
    assert told in ran.err


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_promotion_without_a_reason_is_refused(repository, defectline, reason):
    ran = defectline("promote", "plate", "2", "--reason", reason)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("error: --reason: empty; ")
    assert str(model_of(repository).aliases["champion"]) == "1"


def test_an_mlflow_out_of_reach_is_told_without_its_credentials(repository, defectline, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    monkeypatch.setattr("pipeline_tasks.tracking.store.SETTINGS", {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"})
    ran = defectline("promote", "plate", "2", "--reason", "x")
    assert (ran.status, ran.out) == (75, "")
    assert ran.err.startswith("error: MLflow at http://127.0.0.1:9: ")
    assert "start it or correct MLFLOW_TRACKING_URI, then run this again" in ran.err
    assert "secret" not in ran.err
