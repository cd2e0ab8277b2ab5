import json
import shutil
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from mlflow import MlflowClient

from pipeline_tasks.errors import ConfigError, PublicationError
from pipeline_tasks.storage import content_digest
from pipeline_tasks.tracking.artifacts import downloaded
from pipeline_tasks.tracking.models import Act, Champion, model_name, was_replaced_by
from pipeline_tasks.tracking.registry import connect

ANN = Act("Ann <ann@example.org>", "2026-05-01T08:00:00+00:00", "the line needs it today")
BOB = Act("Bob <bob@example.org>", "2026-05-02T08:00:00+00:00", "it looks better")
LOCK = "defectline.lock"


class Series:
    """Versions of one model, registered one after the other, each under a lock of its own: a, b, c ..."""

    def __init__(self, registry, uri, name, folder):
        self.registry, self.models, self.model, self.folder = (
            registry,
            registry.models,
            f"defectline-{name}-unet",
            folder,
        )
        self.client = MlflowClient(uri)
        (folder / "weights.txt").write_text("1")

    def register(self, lock, standing="champion", compared_with=None):
        tags = {LOCK: f"{self.model} {lock}", "defectline.standing": standing, "defectline.reason": "because"}
        tags |= {"defectline.compared_with": compared_with} if compared_with else {}
        run = self.registry.begin(tags[LOCK], {})
        return self.models.register(run, self.model, self.folder, LOCK, tags, f"What {lock} is")

    def settled(self, *arguments):
        version = self.register(*arguments)
        self.models.settle(version)
        return version

    def aliases(self):
        return {name: str(n) for name, n in self.client.get_registered_model(self.model).aliases.items()}

    def tags(self, number):
        return self.client.get_model_version(self.model, number).tags

    def acts(self, number, kind):
        return json.loads(self.tags(number).get(f"defectline.{kind}", "[]"))


@pytest.fixture
def series(registry, uri, name, tmp_path):
    return Series(registry, uri, name, tmp_path)


def killed(monkeypatch, step, when, call):
    """Kill `call` at its use of a client's method: before or after the method does its work."""
    real = getattr(MlflowClient, step)

    def kill(*arguments, **options):
        if when == "after":
            real(*arguments, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(MlflowClient, step, kill)
        call()


def test_models_are_named_by_product_and_kind():
    assert model_name("plate", "unet") == "defectline-plate-unet"


def test_a_version_has_its_tags_and_files(series):
    version = series.register("a")
    assert (version.number, version.standing) == ("1", "champion")
    assert [file.path for file in series.client.list_logged_model_artifacts(version.model_id)] == ["weights.txt"]
    assert series.tags("1")["defectline.reason"] == "because"


def test_its_description_says_what_it_is_and_its_uri_where_it_is(series):
    version = series.register("a")
    assert series.client.get_model_version(series.model, "1").description == "What a is"
    assert version.uri == f"models:/{series.model}/1"
    assert version.run_id == series.client.get_model_version(series.model, "1").run_id != ""


def test_its_files_are_sealed_and_come_back_as_they_were(series):
    version = series.register("a")
    assert version.tags["defectline.files_digest"] == content_digest(series.folder)
    with downloaded(series.models, version) as folder:
        assert content_digest(folder) == version.tags["defectline.files_digest"]
        assert folder != series.folder
    with downloaded(series.models, version, "weights.txt") as file:
        assert file.read_text() == "1"
    assert not folder.exists() and not file.exists()


def test_a_file_that_was_swapped_in_mlflows_store_shows(series):
    version = series.register("a")
    location = series.client.get_logged_model(version.model_id).artifact_location
    Path(unquote(urlsplit(location).path), "weights.txt").write_text("2")
    with downloaded(series.models, version) as folder:
        assert content_digest(folder) != version.tags["defectline.files_digest"]


def test_files_that_are_gone_are_told(series):
    version = series.register("a")
    location = series.client.get_logged_model(version.model_id).artifact_location
    shutil.rmtree(unquote(urlsplit(location).path))
    told = f"{version.uri}: MLflow keeps no files of it"
    with pytest.raises(PublicationError, match=told), downloaded(series.models, version):
        pytest.fail("downloaded")
    with pytest.raises(PublicationError, match="failures occurred"), downloaded(series.models, version, "weights.txt"):
        pytest.fail("downloaded")


def test_what_a_killed_registration_has_uploaded_is_sealed_as_it_is(series, monkeypatch):
    killed(monkeypatch, "create_model_version", "before", lambda: series.register("a"))
    uploaded = content_digest(series.folder)
    (series.folder / "weights.txt").write_text("another")
    assert series.register("a").tags["defectline.files_digest"] == uploaded


def test_all_models_and_versions_are_listed_in_order(series, registry, monkeypatch):
    for lock in "abcdefghijkl":
        series.register(lock)
    assert [version.number for version in series.models.versions(series.model)] == [str(n) for n in range(1, 13)]
    assert series.models.versions("defectline-nobody-unet") == []
    client, search = registry.models._client, registry.models._client.search_registered_models
    # as where there are more than fit on a page
    monkeypatch.setattr(client, "search_registered_models", lambda *a, **k: search(*a, **k, max_results=1))
    client.create_registered_model(f"{series.model}-other")
    client.create_registered_model(f"not-{series.model}")
    names = series.models.names()
    assert {series.model, f"{series.model}-other"} <= set(names) and names == sorted(names)
    assert f"not-{series.model}" not in names


def test_a_version_is_found_by_its_alias_and_by_its_uri(series):
    first = series.settled("a")
    second = series.settled("b", "challenger", "1")
    assert series.models.by_alias(series.model, "champion").number == first.number
    assert series.models.by_alias(series.model, "challenger").number == second.number
    assert series.models.by_alias(series.model, "nobody") is None
    assert series.models.by_uri(second.uri).number == second.number
    assert series.models.by_uri(f"models:/{series.model}/7") is series.models.by_uri("") is None


def test_registering_again_returns_the_version_with_its_first_standing(series):
    first, again = series.register("a"), series.register("a", "challenger")
    assert again == first
    assert series.register("b").number == "2"


def test_without_a_model_or_an_alias_there_is_no_champion(series):
    assert series.models.champion(series.model) is None
    series.register("a")
    assert series.models.champion(series.model) is None


def test_a_champion_gets_the_alias_and_the_next_one_takes_it(series):
    series.settled("a")
    assert series.models.champion(series.model).number == "1"
    second = series.settled("b", "champion", "1")
    assert series.models.champion(series.model).number == second.number == "2"
    assert series.aliases() == {"champion": "2"}


def test_a_challenger_leaves_the_champion_alone(series):
    series.settled("a")
    series.settled("b", "challenger", "1")
    assert series.aliases() == {"champion": "1", "challenger": "2"}
    series.settled("c", "challenger", "1")
    assert series.aliases() == {"champion": "1", "challenger": "3"}


def test_settling_is_done_once(series):
    first = series.settled("a")
    series.settled("b", "champion", "1")
    series.models.settle(first)
    assert series.aliases() == {"champion": "2"}


@pytest.mark.parametrize("step", ["set_registered_model_alias", "set_model_version_tag"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_settling_that_was_killed_is_completed(series, monkeypatch, step, when):
    series.settled("a")
    version = series.register("b", "champion", "1")
    killed(monkeypatch, step, when, lambda: series.models.settle(version))
    series.models.settle(version)
    assert series.aliases() == {"champion": "2"}
    assert series.tags("2")["defectline.settled"] == "champion"


def test_a_version_that_was_overtaken_before_it_was_settled_gets_no_alias_and_says_so(series):
    series.settled("a")
    late = series.register("b", "champion", "1")
    series.settled("c", "champion", "1")
    series.models.settle(late)
    assert series.aliases() == {"champion": "3"}
    assert series.tags("2")["defectline.settled"] == "none, as version 3 is the champion"


def test_a_challenger_that_is_late_does_not_displace_a_newer_one(series):
    late = series.register("a", "challenger")
    series.settled("b", "challenger")
    series.models.settle(late)
    assert series.aliases() == {"challenger": "2"}
    assert series.tags("1")["defectline.settled"] == "none, as version 2 is the challenger"


def test_a_version_demoted_before_it_was_settled_does_not_come_back(series, monkeypatch):
    series.settled("a")
    version = series.register("b", "champion", "1")
    killed(monkeypatch, "set_model_version_tag", "before", lambda: series.models.settle(version))
    series.models.promote(series.model, "1", ANN)
    series.models.settle(version)
    assert series.aliases() == {"champion": "1"}


def test_the_present_champion_is_told_before_and_after_a_version_is_settled(series):
    first = series.register("a")
    assert series.models.present_champion(first) == Champion("1", None)
    series.models.settle(first)
    second, third = series.register("b", "challenger", "1"), series.register("c", "champion", "1")
    assert series.models.present_champion(second) == Champion("1", None)
    assert series.models.present_champion(third) == Champion("3", None)
    series.models.settle(third)
    assert series.models.present_champion(first) == Champion("3", None)
    series.models.promote(series.model, "2", ANN)
    assert series.models.present_champion(first) == series.models.present_champion(third) == Champion("2", ANN)


def test_without_a_champion_none_is_told(series):
    assert series.models.present_champion(series.register("a", "challenger")) is None


def test_a_version_judged_again_may_take_the_champions_place_or_not(series):
    first = series.settled("a")
    series.settled("b", "champion", "1")
    again = series.models.judge_again(first, "challenger", "not better", "2")
    series.models.settle(again)
    assert series.aliases() == {"champion": "2", "challenger": "1"}
    again = series.models.judge_again(first, "champion", "better", "2")
    series.models.settle(again)
    assert (series.aliases()["champion"], series.tags("1")["defectline.reason"]) == ("1", "better")


@pytest.mark.parametrize("step", ["delete_model_version_tag", "set_model_version_tag"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_judging_again_that_was_killed_is_seen_to_be_still_due(series, monkeypatch, step, when):
    first = series.settled("a")
    series.settled("b", "champion", "1")
    killed(monkeypatch, step, when, lambda: series.models.judge_again(first, "champion", "better", "2"))
    assert "defectline.compared_with" not in series.tags("1")
    series.models.settle(series.models.judge_again(first, "champion", "better", "2"))
    assert series.aliases() == {"champion": "1"}


def test_a_person_is_known_to_have_put_one_in_the_place_of_another(series):
    series.settled("a")
    series.settled("b", "champion", "1")
    series.models.promote(series.model, "1", ANN)
    demoted = series.models.find(series.model, LOCK, f"{series.model} b")
    assert was_replaced_by(demoted, "1") and not was_replaced_by(demoted, "3")
    assert not was_replaced_by(series.models.champion(series.model), "2")


def test_a_promotion_by_hand_is_recorded_on_both_sides(series):
    series.settled("a")
    series.settled("b", "challenger", "1")
    promoted, before = series.models.promote(series.model, "2", ANN)
    assert (promoted.number, before) == ("2", "1")
    assert series.aliases() == {"champion": "2"}
    act = {"by": ANN.by, "at": ANN.at, "reason": ANN.reason}
    assert series.acts("2", "promotions") == [{**act, "other": "1"}]
    assert series.acts("1", "demotions") == [{**act, "other": "2"}]
    assert series.tags("2")["defectline.standing"] == "challenger"


def test_the_first_champion_may_be_made_by_hand(series):
    series.settled("a", "challenger")
    assert series.models.promote(series.model, "1", ANN)[1] is None
    assert series.aliases() == {"champion": "1"}
    assert series.acts("1", "promotions")[0]["other"] is None


def test_a_version_is_named_by_its_lock_too(series):
    series.settled("a")
    series.settled("b", "challenger", "1")
    assert series.models.promote(series.model, f"{series.model} b", ANN)[0].number == "2"


def test_promoting_the_champion_records_nothing(series):
    series.settled("a")
    assert series.models.promote(series.model, "1", ANN)[1] == "1"
    assert series.acts("1", "promotions") == []


def test_every_act_is_kept(series):
    series.settled("a")
    series.settled("b", "challenger", "1")
    for number, act in [("2", ANN), ("1", BOB), ("2", BOB)]:
        series.models.promote(series.model, number, act)
    assert [act["by"] for act in series.acts("2", "promotions")] == [ANN.by, BOB.by]
    assert [act["by"] for act in series.acts("1", "demotions")] == [ANN.by, BOB.by]


@pytest.mark.parametrize(
    ("step", "when"),
    [
        ("set_registered_model_alias", "before"),
        ("set_registered_model_alias", "after"),
        ("delete_registered_model_alias", "before"),
        ("delete_registered_model_alias", "after"),
    ],
)
def test_a_promotion_that_was_killed_is_completed(series, monkeypatch, step, when):
    series.settled("a")
    series.settled("b", "challenger", "1")
    killed(monkeypatch, step, when, lambda: series.models.promote(series.model, "2", ANN))
    series.models.promote(series.model, "2", ANN)
    assert series.aliases() == {"champion": "2"}
    assert [act["other"] for act in series.acts("1", "demotions")] == ["2"]
    assert {act["by"] for act in series.acts("2", "promotions")} == {ANN.by}


def test_an_unknown_version_is_refused_with_those_that_there_are(series):
    series.settled("a")
    series.settled("b")
    with pytest.raises(ConfigError) as caught:
        series.models.promote(series.model, "7", ANN)
    lock = f"{series.model} a"
    assert f"{series.model} in MLflow at sqlite://" in str(caught.value)
    assert f"no 7; there are 1 ({lock}), 2 (" in str(caught.value)


def test_an_unknown_model_is_refused_with_those_that_there_are(series):
    series.settled("a")
    with pytest.raises(ConfigError, match=rf"defectline-nobody-unet.*no 1; the models there are: .*{series.model}"):
        series.models.promote("defectline-nobody-unet", "1", ANN)


def test_in_an_empty_store_the_way_to_a_model_is_told_and_nothing_is_made(tmp_path, empty_database):
    shutil.copy(empty_database, tmp_path)
    with connect(f"sqlite:///{tmp_path}/mlflow.db", "defectline", None) as registry:
        with pytest.raises(ConfigError, match="no model is there, run `defectline register`"):
            registry.models.promote("defectline-plate-unet", "1", ANN)
        assert MlflowClient(registry.uri).get_experiment_by_name("defectline") is None
