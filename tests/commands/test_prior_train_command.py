"""A killed `defectline prior train` goes on, and remembers for how long it has run."""

import json

import pytest
from interruptions import Killed
from prior_project import TINY
from tiny_prior import draw

from pipeline_tasks.commands import prior_train as command
from pipeline_tasks.commands.prior_train import TimedCheckpoints, prior_train
from pipeline_tasks.drawing import scene
from pipeline_tasks.storage import content_digest, write_json
from pipeline_tasks.yaml_files import to_yaml


@pytest.fixture
def folder(tmp_path, monkeypatch, one_thread):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(scene, "draw_scene", lambda world, seed, side: draw(seed, side))
    (tmp_path / "params.yaml").write_text(to_yaml(TINY))
    return tmp_path


def test_a_killed_training_resumes_and_gives_the_same_prior(folder, monkeypatch):
    prior_train()
    whole = content_digest(folder / "model")
    (folder / "model").rename(folder / "before")
    assert not (folder / ".work/prior/train").exists()
    drawn = []

    def dying(world, seed, side):
        drawn.append(seed)
        if len(drawn) == 6:  # in the third of its steps, which have 4, 1 and 4 scenes
            raise Killed
        return draw(seed, side)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(scene, "draw_scene", dying)
        prior_train()
    assert len(list(folder.glob(".work/prior/train/*/state.safetensors"))) == 1
    (seconds,) = folder.glob(".work/prior/train/*/seconds.json")
    write_json(seconds, 3600.0)
    drawn.clear()
    monkeypatch.setattr(scene, "draw_scene", lambda world, seed, side: (drawn.append(seed), draw(seed, side))[1])
    prior_train()
    assert len(drawn) == 4 and content_digest(folder / "model") == whole
    assert 3600 <= json.loads((folder / "training.json").read_text())["seconds"] < 3700


def test_the_loss_curve_is_kept_with_so_many_points(folder, monkeypatch):
    monkeypatch.setattr(command, "POINTS", 2)
    prior_train()
    told = json.loads((folder / "training.json").read_text())
    assert told["step"] == [0, 1, 2] and len(told["loss"]) == 3 and all(loss > 0 for loss in told["loss"])
    assert told["device"] == "a CPU, threads: 1"


def test_time_counts_from_nothing_without_a_checkpoint(tmp_path):
    checkpoints = TimedCheckpoints(tmp_path)
    write_json(tmp_path / "seconds.json", 50.0)
    assert checkpoints.load() is None and checkpoints.seconds() < 5
