"""A stage killed in the middle of its work resumes, and its result equals the uninterrupted one byte for byte."""

import numpy as np
import pytest
import yaml

from pipeline_tasks.commands.generate import generate
from pipeline_tasks.commands.train import train
from pipeline_tasks.commands.work import work_folder
from pipeline_tasks.images.codec import encode_image, encode_mask
from pipeline_tasks.params import load_params
from pipeline_tasks.schema import GOOD, MaskRow, Sample
from pipeline_tasks.storage import PARTIAL, content_digest, write_json, write_rows

SMALL = {
    "train": {"steps": 9, "batch_size": 2, "window_px": 32, "channels": [8, 16], "checkpoint_every_steps": 2},
    "generate": {"steps": 2, "shard_pairs": 3, "batch_size": 4},
}


class Killed(BaseException):
    """Stands for a kill: no handler of ordinary exceptions may swallow it."""


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def small_inputs(project, request):
    shipped = yaml.safe_load((request.config.rootpath / "params.yaml").read_text())
    for section, values in SMALL.items():
        shipped[section] |= values | {"device": "cpu", "precision": "float32"}
    (project / "params.yaml").write_text(yaml.safe_dump(shipped))
    rng = np.random.default_rng(0)
    plain = rng.integers(100, 120, (48, 48, 3)).astype(np.uint8)
    mask = np.zeros((48, 48), bool)
    mask[20:24, 10:30] = True
    marked = np.where(mask[..., None], np.uint8(30), plain)

    def sample(defect, pixels, png):
        return Sample(
            "p", defect, "base", f"{defect}.png", "0" * 64, 1, 48, 48, 80, 0.03, None, encode_image(pixels), png
        )

    write_rows(project / "base/pit.parquet", [sample("pit", marked, encode_mask(mask))], Sample)
    write_rows(project / f"base/{GOOD}.parquet", [sample(GOOD, plain, None)], Sample)
    png, row = encode_mask(mask), [1, 0, 0, 0, 1, 0]
    rows = [
        MaskRow(i, "p", "pit", 50 + i, "good.png", "0" * 64, "transformed", "pit.png", "pit.png", 0.0, row, 1, 80, png)
        for i in range(8)
    ]  # fmt: skip
    write_rows(project / "masks.parquet", rows, MaskRow)
    write_json(project / "prompts.json", {"pit": "pit p"})


def run_train(project, to):
    train("p", project / "base", project / to)
    return content_digest(project / to)


def run_generate(project, to):
    generate(
        "p",
        "pit",
        project / "masks.parquet",
        project / "base",
        project / "model",
        project / "prompts.json",
        project / to,
    )
    return content_digest(project / to)


def kill_after(monkeypatch, calls, module, name):
    """Let `module.name` work `calls` times, then kill."""
    original, count = getattr(module, name), [0]

    def counted(*args, **kwargs):
        count[0] += 1
        if count[0] > calls:
            raise Killed
        return original(*args, **kwargs)

    monkeypatch.setattr(module, name, counted)


def test_training_resumes_at_its_checkpoint(project, monkeypatch):
    whole = run_train(project, "whole")
    with monkeypatch.context() as patch:
        from pipeline_tasks.diffusion import training

        kill_after(patch, 5, training, "_step")
        with pytest.raises(Killed):
            run_train(project, "resumed")
    assert not (project / "resumed").exists()
    assert len(list((project / ".work/train/p").rglob("*.safetensors"))) == 1
    steps = []
    with monkeypatch.context() as patch:
        original = training._step
        patch.setattr(training, "_step", lambda *a: (steps.append(1), original(*a))[1])
        assert run_train(project, "resumed") == whole
    assert len(steps) == load_params().train.steps - 4  # killed in step 6, checkpointed after step 4
    assert not (project / ".work/train/p").exists()


def test_a_damaged_checkpoint_starts_over_and_says_so(project, monkeypatch, capsys):
    whole = run_train(project, "whole")
    from pipeline_tasks.diffusion import training

    with monkeypatch.context() as patch:
        kill_after(patch, 5, training, "_step")
        with pytest.raises(Killed):
            run_train(project, "resumed")
    (state,) = (project / ".work").rglob("*.safetensors")
    state.write_bytes(state.read_bytes()[:100])
    assert run_train(project, "resumed") == whole
    assert "training starts over" in capsys.readouterr().out


def test_generation_resumes_after_its_finished_shards(project, monkeypatch):
    run_train(project, "model")
    whole = run_generate(project, "whole")
    from pipeline_tasks.backends import pairs

    with monkeypatch.context() as patch:
        kill_after(patch, 4, pairs, "_pair")
        with pytest.raises(Killed):
            run_generate(project, "resumed")
    shards = sorted(p.name for p in (project / ".work/generate/p-pit").rglob("*.parquet"))
    assert shards == ["00000.parquet"] and not (project / "resumed").exists()
    made = []
    with monkeypatch.context() as patch:
        original = pairs._pair
        patch.setattr(pairs, "_pair", lambda *a: (made.append(1), original(*a))[1])
        assert run_generate(project, "resumed") == whole
    assert len(made) == 8 - 3


def test_what_a_killed_write_left_is_not_published(project, monkeypatch):
    run_train(project, "model")
    whole = run_generate(project, "whole")
    from pipeline_tasks.backends import pairs

    with monkeypatch.context() as patch:
        kill_after(patch, 4, pairs, "_pair")
        with pytest.raises(Killed):
            run_generate(project, "resumed")
    (shard,) = (project / ".work/generate/p-pit").rglob("*.parquet")
    (shard.parent / f".00001.parquet.abc{PARTIAL}").write_bytes(b"PAR1, and no more")  # kill -9 removes nothing
    assert run_generate(project, "resumed") == whole
    assert {p.name for p in (project / "resumed").iterdir()} == {p.name for p in (project / "whole").iterdir()}


def test_other_parameters_do_not_resume_old_work(project):
    params = load_params().train
    folders = {
        work_folder("train", "p", [project / "base"], [values])
        for values in (params, params.model_copy(update={"learning_rate": 0.5}), params)
    }
    assert len(folders) == 2
