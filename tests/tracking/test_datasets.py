import json
from pathlib import Path

import pytest
from choices import choice, lift
from mlflow import MlflowClient

from pipeline_tasks.errors import ConfigError
from pipeline_tasks.storage import write_json
from pipeline_tasks.tracking.artifacts import downloaded
from pipeline_tasks.tracking.datasets import Candidate, Lift, champion_dataset, enter

STEPS = ["create_logged_model", "log_model_artifacts", "finalize_logged_model", "create_model_version"]


def entered(registry, name, lock, **changes):
    values = {"standing": "champion", "reason": "It gains.", "compared_with": None} | changes
    run = registry.begin(f"{name} {lock}", {"mlflow.source.git.commit": "abc"})
    made = values.pop("choice", choice(lift(1 / 30), product=name))
    return enter(registry.models, run, Candidate(product=name, choice=made, **values))


def versions_of(uri, name):
    return MlflowClient(uri).search_model_versions(f"name = 'defectline-{name}-dataset'")


def test_a_champion_is_read_as_it_was_entered(registry, name):
    version = entered(registry, name, "a", compared_with="7")
    assert champion_dataset(registry.models, name) is None
    registry.models.settle(version.registered)
    champion = champion_dataset(registry.models, name)
    assert (champion.product, champion.number, champion.version) == (name, "1", f"{name} a")
    assert (champion.git_revision, champion.standing, champion.reason) == ("abc", "champion", "It gains.")
    assert (champion.compared_with, champion.base_digest) == ("7", "b" * 64)
    assert champion.lift == Lift(1 / 30, 1 / 30 - 0.01, 1 / 30 + 0.01, 0.97)
    mixture = {"outcome": "synthesis", "arm": "inpainting_50", "backend": "inpainting", "ratio": 0.5}
    assert champion.recommendation == {
        "product": name,
        "generator": "inpainting",
        "detector": "unet",
        "incumbent": "real_flip",
        "defects": dict.fromkeys(["pit", "scratch"], mixture | {"augmentation": "flip"}),
    }


def test_its_files_are_the_choice_the_recommendation_and_its_card(registry, uri, name, tmp_path):
    made = choice(lift(0.03), product=name)
    version = entered(registry, name, "a", choice=made)
    (source,) = [found.source for found in versions_of(uri, name)]
    assert source == version.registered.source
    files = {file.path for file in MlflowClient(uri).list_logged_model_artifacts(version.registered.model_id)}
    assert files == {"choice.json", "recommendation.json", "README.md"}
    place = MlflowClient(uri).get_logged_model(version.registered.model_id).artifact_location.removeprefix("file://")
    kept = {name: json.loads(Path(place, name).read_text()) for name in files if name.endswith(".json")}
    assert kept == {"choice.json": made, "recommendation.json": version.recommendation}
    write_json(tmp_path / "choice.json", made)
    assert Path(place, "choice.json").read_bytes() == (tmp_path / "choice.json").read_bytes(), "DVC's digest holds"


def test_its_card_and_its_description_are_those_that_were_given(registry, uri, name):
    version = entered(registry, name, "a", card="# Pärchen\n", description="Pairs.").registered
    with downloaded(registry.models, version, "README.md") as card:
        assert card.read_text(encoding="utf-8") == "# Pärchen\n"
    assert [found.description for found in versions_of(uri, name)] == ["Pairs."]


def test_a_description_is_cut_to_what_mlflows_databases_hold(registry, uri, name):
    entered(registry, name, "a", description="x" * 5001)
    assert [len(found.description) for found in versions_of(uri, name)] == [5000]


def test_what_made_it_and_its_release_are_on_record(registry, name):
    maker = "models:/defectline-plate-generator/3"
    version = entered(registry, name, "a", generator_model=maker, release="4", git_revision="def")
    assert (version.generator_model, version.release, version.git_revision) == (maker, "4", "def")


def test_a_version_that_is_published_later_gets_its_release_and_the_commit_of_that(registry, name):
    first = entered(registry, name, "a", git_revision="abc")
    assert (first.release, first.git_revision) == ("", "abc")
    assert not {"defectline.release", "defectline.generator_model"} & set(first.registered.tags)
    later = entered(registry, name, "a", release="2", git_revision="def", standing="challenger")
    assert (later.number, later.release, later.git_revision, later.standing) == ("1", "2", "def", "champion")
    assert entered(registry, name, "a", release="9", git_revision="123") == later


def test_without_a_lift_real_images_alone_are_recommended(registry, uri, name):
    version = entered(registry, name, "a", choice=choice(None, "no synthesis", product=name), standing="challenger")
    assert (version.standing, version.lift) == ("challenger", None)
    assert version.recommendation["defects"]["pit"]["arm"] == "real_flip"
    (found,) = versions_of(uri, name)
    assert not any("lift" in tag for tag in found.tags)


def test_one_lock_is_one_version_with_the_standing_it_was_given_first(registry, uri, name):
    first = entered(registry, name, "a")
    again = entered(registry, name, "a", standing="challenger", reason="It does not.")
    assert again == first
    assert len(versions_of(uri, name)) == 1
    assert entered(registry, name, "b").number == "2"


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_entry_that_was_killed_is_completed(registry, uri, name, monkeypatch, step, when):
    real = getattr(MlflowClient, step)

    def killed(*arguments, **options):
        if when == "after":
            real(*arguments, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(MlflowClient, step, killed)
        entered(registry, name, "a")
    version = entered(registry, name, "a")
    assert [found.source for found in versions_of(uri, name)] == [version.registered.source]
    files = MlflowClient(uri).list_logged_model_artifacts(version.registered.model_id)
    assert len(files) == 3


def test_a_champion_that_was_not_registered_here_is_refused_by_name(registry, uri, name):
    version = entered(registry, name, "a")
    client, model = MlflowClient(uri), f"defectline-{name}-dataset"
    client.create_model_version(model, version.registered.source)
    client.set_registered_model_alias(model, "champion", "2")
    with pytest.raises(ConfigError, match=rf"{model} version 2 in MLflow: without the tags .*defectline promote"):
        champion_dataset(registry.models, name)
