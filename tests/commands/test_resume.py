"""A stage killed in the middle of its work resumes, and its result equals the uninterrupted one byte for byte."""

from dataclasses import replace
from functools import partial

import few_pairs
import pytest
from few_pairs import MASKS, SMALL, SOUND, pairs_in, pictures_in, run_train, write_inputs
from interruptions import counted, killed_at
from rows import sample
from settings import write_settings

from pipeline_tasks import storage
from pipeline_tasks.backends import pairs
from pipeline_tasks.backends.judgement import Failing
from pipeline_tasks.commands.work import work_folder
from pipeline_tasks.errors import LeakageError
from pipeline_tasks.inpainting import training
from pipeline_tasks.params import load_params
from pipeline_tasks.schema import REJECTED, Rejected, Sample
from pipeline_tasks.storage import PARTIAL, read_rows, write_rows

HOPELESS = {1: Failing.LABEL, 6: Failing.SPILL}
"""Pairs that are rejected whatever is tried: one of the first shard of four, one of the second."""


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def small_inputs(project, one_thread, monkeypatch):
    write_inputs(project)
    monkeypatch.setattr(pairs, "score", lambda request, *_: replace(SOUND, mask_area_px=request.row.pair_index + 1))
    monkeypatch.setattr(pairs, "judge", lambda scores, _: HOPELESS.get(scores.mask_area_px - 1))


@pytest.fixture
def run_generate(project):
    run_train(project, "model")
    return partial(few_pairs.run_generate, project)


def unfinished(project):
    """Names of the tables that wait in the work folder."""
    (folder,) = (project / ".work/generate/plate-pit").iterdir()
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet"))


def test_training_resumes_at_its_checkpoint(project):
    whole = run_train(project, "whole")
    with killed_at(6, training, "window_loss"):
        run_train(project, "resumed")
    assert not (project / "resumed").exists()
    assert len(list((project / ".work/train/plate").rglob("*.safetensors"))) == 1
    with counted(training, "window_loss") as steps:
        assert run_train(project, "resumed") == whole
    assert len(steps) == load_params().train.steps - 4  # killed in step 6, checkpointed after step 4
    assert not (project / ".work/train/plate").exists()


def test_a_damaged_checkpoint_starts_over_and_says_so(project, capsys):
    whole = run_train(project, "whole")
    with killed_at(6, training, "window_loss"):
        run_train(project, "resumed")
    (state,) = (project / ".work").rglob("*.safetensors")
    state.write_bytes(state.read_bytes()[:100])
    assert run_train(project, "resumed") == whole
    assert "training starts over" in capsys.readouterr().out


def test_pairs_are_made_until_there_are_as_many_as_asked_for(project, run_generate, capsys):
    """Ten masks give eight pairs; the last four of the fourteen are not needed."""
    run_generate("whole")
    shards = sorted(path.relative_to(project / "whole").as_posix() for path in (project / "whole").rglob("*.parquet"))
    names = [f"{number:05d}.parquet" for number in range(3)]
    assert shards == names + [f"{REJECTED}/{name}" for name in names]
    rejected = [row for name in names for row in read_rows(project / "whole" / REJECTED / name, Rejected)]
    assert {row.pair_index: row.reason for row in rejected} == HOPELESS
    assert {row.attempts for row in rejected} == {2}
    assert [pair.pair_index for pair in pairs_in(project / "whole")] == [0, 2, 3, 4, 5, 7, 8, 9]
    told = (
        "plate pit: 8 of 8 pairs asked for by inpainting, 0 of them made again, 2 more rejected\n"
        "plate pit: rejected, 1 x label does not match the change, 1 x change beyond the mask\n"
    )
    assert capsys.readouterr().out.endswith(told)


def test_what_a_block_holds_beyond_the_last_pair_asked_for_is_dropped(project, run_generate):
    run_generate("whole")
    write_settings(project, **SMALL | {"masks": {"pairs_per_defect": 3}})
    run_generate("fewer")
    assert pictures_in(project / "fewer") == pictures_in(project / "whole")[:3], "the fourth of its block was made, too"
    assert sorted(path.name for path in (project / "fewer").glob("*")) == ["00000.parquet", REJECTED]


def test_a_run_that_falls_short_says_by_how_much_and_why(project, run_generate, capsys):
    write_settings(project, **SMALL | {"masks": {"pairs_per_defect": 20}})
    run_generate("short")
    assert len(pairs_in(project / "short")) == MASKS - len(HOPELESS)
    assert capsys.readouterr().out.endswith(
        "warning: plate pit: 8 pairs fewer than asked for: its 14 masks, those in reserve included, are used up, and "
        "2 pairs were rejected\n"
    )


@pytest.mark.parametrize(("asked", "call"), [(3, 2), (6, 4), (20, 3)])
def test_a_killed_run_stops_at_the_same_pair(project, run_generate, asked, call):
    write_settings(project, **SMALL | {"masks": {"pairs_per_defect": asked}})
    whole = run_generate("whole")
    with killed_at(call, storage, "write_rows"):
        run_generate("resumed")
    assert run_generate("resumed") == whole


def test_a_test_sample_stops_generation_by_name(project, run_generate):
    write_rows(project / "base/pit.parquet", [sample(split="test")], Sample)
    with pytest.raises(LeakageError, match=r"generate: 'plate/test/pit/000\.png' is a test sample"):
        run_generate("leaked")


def test_generation_resumes_after_its_finished_shards(project, run_generate):
    whole = run_generate("whole")
    with killed_at(5, pairs, "_pair"):
        run_generate("resumed")
    assert unfinished(project) == ["00000.parquet", f"{REJECTED}/00000.parquet"] and not (project / "resumed").exists()
    with counted(pairs, "_pair") as made:
        assert run_generate("resumed") == whole
    assert len(made) == 8 - 3
    assert not (project / ".work/generate/plate-pit").exists()


def test_a_shard_counts_as_finished_once_its_rejections_are_written(project, run_generate):
    whole = run_generate("whole")
    with killed_at(4, storage, "write_rows"):
        run_generate("resumed")
    assert unfinished(project) == ["00000.parquet", "00001.parquet", f"{REJECTED}/00000.parquet"]
    with counted(pairs, "_pair") as made:
        assert run_generate("resumed") == whole
    assert len(made) == 8 - 3


def test_what_a_killed_write_left_is_not_published(project, run_generate):
    whole = run_generate("whole")
    with killed_at(5, pairs, "_pair"):
        run_generate("resumed")
    (shard,) = (project / ".work/generate/plate-pit").glob("*/*.parquet")
    for folder in (shard.parent, shard.parent / REJECTED):  # kill -9 removes nothing
        (folder / f".00001.parquet.abc{PARTIAL}").write_bytes(b"PAR1, and no more")
    assert run_generate("resumed") == whole
    assert {p.name for p in (project / "resumed").rglob("*")} == {p.name for p in (project / "whole").rglob("*")}


def test_other_shards_hold_the_same_pairs(project, run_generate):
    run_generate("whole")
    write_settings(project, **SMALL | {"generate": SMALL["generate"] | {"shard_pairs": 6}})
    run_generate("other")
    assert [len(list((project / name).glob("*.parquet"))) for name in ("whole", "other")] == [3, 2]
    assert pictures_in(project / "other") == pictures_in(project / "whole")


def test_other_parameters_do_not_resume_old_work(project):
    params = load_params().train
    folders = {
        work_folder("train", "plate", [project / "base"], [values])
        for values in (params, params.model_copy(update={"learning_rate": 0.5}), params)
    }
    assert len(folders) == 2


def test_what_a_kill_left_beside_the_pairs_goes_with_the_next_run(project, run_generate):
    left = project / ".pairs.abcd1234.part"
    (left / "pairs").mkdir(parents=True)
    run_generate("pairs")
    assert not left.exists()
