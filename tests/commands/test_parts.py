"""However many parts or processes make them, a defect's pairs are the same to the byte."""

import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import few_pairs
import pytest
from few_pairs import INPUTS, SMALL, SOUND, pairs_in, run_part, run_train, write_inputs
from hypothesis import given
from hypothesis import strategies as st
from interruptions import counted, killed_at
from settings import KEEP_ALL, write_settings

from pipeline_tasks.backends import pairs
from pipeline_tasks.backends.judgement import Failing
from pipeline_tasks.errors import ConfigError
from pipeline_tasks.lineage.lock import md5_of
from pipeline_tasks.manifest import read_manifest
from pipeline_tasks.schema import REJECTED, Pair, Rejected
from pipeline_tasks.stages.generate import share_of, whole_shards

ASKED, SIZE = 11, 2
SECTIONS = {"masks": {"pairs_per_defect": ASKED}, "generate": SMALL["generate"] | {"shard_pairs": SIZE}}
HOPELESS = {1: Failing.LABEL, 6: Failing.SPILL}
"""Pairs that are rejected whatever is tried. The thirteenth mask, one of the reserve, becomes the eleventh pair."""
TABLES = (("", Pair), (f"{REJECTED}/", Rejected))


@pytest.fixture
def project(tmp_path, monkeypatch, one_thread):
    """A project with a generator, five whole shards of two masks, and a part of a sixth that is asked for, too."""
    monkeypatch.chdir(tmp_path)
    write_inputs(tmp_path, **SECTIONS)
    run_train(tmp_path, "model")
    return tmp_path


@pytest.fixture
def hopeless(monkeypatch):
    monkeypatch.setattr(pairs, "score", lambda request, *_: replace(SOUND, mask_area_px=request.row.pair_index + 1))
    monkeypatch.setattr(pairs, "judge", lambda scores, _: HOPELESS.get(scores.mask_area_px - 1))


@pytest.fixture
def generate(project):
    """Generates into a folder, from parts if they are there."""
    return partial(few_pairs.run_generate, project, parts=project / "parts")


def shards_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet"))


@given(st.integers(0, 300), st.integers(1, 40), st.integers(1, 60))
def test_every_whole_shard_is_in_one_part(asked, size, parts):
    whole = whole_shards(asked, size)
    shares = [share_of(whole, part, parts) for part in range(parts)]
    assert [number for share in shares for number in share] == list(whole)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert len(whole) * size <= asked < (len(whole) + 1) * size


@pytest.mark.parametrize("number", [2, 3, 7])
def test_pairs_are_the_same_in_any_number_of_parts(project, hopeless, generate, capsys, number):
    generate("whole")
    assert [pair.pair_index for pair in pairs_in(project / "whole")] == [i for i in range(13) if i not in HOPELESS]
    for part in range(number):
        run_part(project, part, number, project / "parts")
    made = [shards_in(project / "parts" / str(part)) for part in range(number)]
    assert sum(map(len, made)) == 2 * 5, "pairs and rejected ones of five shards"
    assert [len(read_manifest((project / "parts").glob(f"*/{at}*.parquet"), row)) for at, row in TABLES] == [8, 2]
    with counted(pairs, "_pair") as here:
        generate("joined")
    assert len(here) == 4, "what the blocks of the last three hold"
    assert md5_of(project / "joined") == md5_of(project / "whole")
    assert not (project / ".work/generate/plate-pit").exists() and not list((project / ".work/part").iterdir())
    assert "part 0 of " in capsys.readouterr().out


def test_a_part_that_is_not_there_is_made_with_the_rest(project, hopeless, generate):
    generate("whole")
    run_part(project, 1, 2, project / "parts")
    with counted(pairs, "_pair") as here:
        generate("joined")
    assert len(here) == 4 + 3, "and those of the first two shards"
    assert md5_of(project / "joined") == md5_of(project / "whole")


def test_a_killed_part_goes_on_after_its_finished_shards(project, hopeless, generate):
    run_part(project, 1, 2, project / "whole")
    with killed_at(4, pairs, "_pair"):
        run_part(project, 1, 2, project / "parts")
    assert not (project / "parts").exists()
    (work,) = (project / ".work/part/plate-pit-1").iterdir()
    finished = ["00002.parquet", "00003.parquet"]
    assert shards_in(work) == [*finished, *(f"{REJECTED}/{name}" for name in finished)]
    with counted(pairs, "_pair") as made:
        run_part(project, 1, 2, project / "parts")
    assert len(made) == 5 - 3
    assert md5_of(project / "parts/1") == md5_of(project / "whole/1")


def test_a_joining_that_is_killed_goes_on_with_the_parts(project, hopeless, generate):
    generate("whole")
    for part in range(2):
        run_part(project, part, 2, project / "parts")
    with killed_at(3, pairs, "_pair"):
        generate("joined")
    (work,) = (project / ".work/generate/plate-pit").iterdir()
    assert shards_in(work) == ["00005.parquet", f"{REJECTED}/00005.parquet"], "no copy of what is in the parts"
    generate("joined")
    assert md5_of(project / "joined") == md5_of(project / "whole")


def test_a_part_of_another_run_is_not_taken_and_told(project, hopeless, generate, capsys):
    for part in range(2):
        run_part(project, part, 2, project / "parts")
    write_settings(project, **SMALL | SECTIONS | {"run": {"seed": 1}})
    generate("whole", parts=None)
    run_part(project, 0, 2, project / "parts")
    capsys.readouterr()
    generate("joined")
    assert md5_of(project / "joined") == md5_of(project / "whole")
    (told,) = [line for line in capsys.readouterr().out.splitlines() if "another run" in line]
    assert told.startswith(f"warning: {project / 'parts/1'} is of another run (") and told.endswith("made anew")


def test_what_stands_in_for_parts_is_no_part(project, hopeless, generate):
    whole = generate("whole")
    assert generate("again", parts=project / "plate.json") == whole


def launched(command: str, *options: object) -> None:
    """Run a command in two processes, as on two GPUs."""
    names = ("masks", "samples", "normals", "prompts", "pretrained", "model")
    inputs = [word for name, path in zip(names, INPUTS, strict=True) for word in (f"--{name}", path)]
    about = ["--product", "plate", "--defect", "pit", "--source", "plate"]
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    told = [*start, "--module", "pipeline_tasks", command, *about, *inputs, *map(str, options)]
    done = subprocess.run(told, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert all(f"process {number} of 2" in done.stderr for number in (1, 2))


def test_two_processes_make_what_one_makes(project, generate):
    generate("any")
    scores = sorted(pair.alignment for pair in pairs_in(project / "any"))
    strict = {"generate": SECTIONS["generate"] | {"attempts": 1, "keep": KEEP_ALL | {"min_alignment": scores[3]}}}
    write_settings(project, **SMALL | SECTIONS | strict)
    generate("whole")
    assert len(list(read_manifest((project / "whole" / REJECTED).glob("*"), Rejected)["reason"])) >= 3
    run_part(project, 1, 2, project / "alone")
    launched("part", "--number", 1, "--of", 2, "--pairs", "parts/1")
    assert md5_of(project / "parts/1") == md5_of(project / "alone/1")
    launched("generate", "--pairs", "together", "--parts", "parts")
    assert md5_of(project / "together") == md5_of(project / "whole")


def test_a_gpu_that_is_not_there_is_told_before_anything_is_made(project):
    write_settings(project, **SMALL | SECTIONS | {"generate": SECTIONS["generate"] | {"device": "cuda"}})
    with pytest.raises(ConfigError, match="sees no GPU here"):
        run_part(project, 0, 2, project / "parts")
