import json
from pathlib import Path

import pytest
from choices import choice, lift
from mlflow import MlflowClient

from pipeline_tasks.errors import ConfigError
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


def test_its_files_are_the_choice_and_the_recommendation(registry, uri, name):
    made = choice(lift(0.03), product=name)
    version = entered(registry, name, "a", choice=made)
    (source,) = [found.source for found in versions_of(uri, name)]
    assert source == version.registered.source
    files = {file.path for file in MlflowClient(uri).list_logged_model_artifacts(version.registered.model_id)}
    assert files == {"choice.json", "recommendation.json"}
    place = MlflowClient(uri).get_logged_model(version.registered.model_id).artifact_location.removeprefix("file://")
    kept = {name: json.loads(Path(place, name).read_text()) for name in files}
    assert kept == {"choice.json": made, "recommendation.json": version.recommendation}


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
    assert len(files) == 2


def test_a_champion_that_was_not_registered_here_is_refused_by_name(registry, uri, name):
    version = entered(registry, name, "a")
    client, model = MlflowClient(uri), f"defectline-{name}-dataset"
    client.create_model_version(model, version.registered.source)
    client.set_registered_model_alias(model, "champion", "2")
    with pytest.raises(ConfigError, match=rf"{model} version 2 in MLflow: without the tags .*defectline promote"):
        champion_dataset(registry.models, name)
