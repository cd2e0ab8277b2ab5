"""`generate --only`: what the stage made is made again from its rows, to the byte."""

import hashlib
import sys
from dataclasses import replace

import pytest
from few_pairs import INPUTS, MASKS, SMALL, SOUND, pairs_in, pictures_in, run_generate, run_train, write_inputs
from settings import KEEP_ALL, write_settings

from pipeline_tasks.__main__ import main
from pipeline_tasks.backends import pairs
from pipeline_tasks.commands import work
from pipeline_tasks.errors import DataError
from pipeline_tasks.images.codec import decode_image, decode_mask
from pipeline_tasks.manifest import read_manifest
from pipeline_tasks.provenance import row_digest
from pipeline_tasks.schema import Pair

HOPELESS, AGAIN = 1, 3
"""The pair that is rejected whatever is tried, and the one whose first attempt is not kept."""
LAST = 8
"""The last pair that is kept, the first of its block of two."""
STRICT = {
    "masks": {"pairs_per_defect": 8},
    "generate": SMALL["generate"] | {"keep": KEEP_ALL | {"min_alignment": 0.5}},
}


def scores(request, *_):
    index, first = request.row.pair_index, request.seed == request.row.seed
    return replace(SOUND, alignment=0.0 if index == HOPELESS or (index == AGAIN and first) else 0.9)


@pytest.fixture(params=["inpainting", "paste"])
def project(request, tmp_path, monkeypatch, one_thread):
    """A project whose pairs are made, in shards, by one of the generators."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pairs, "score", scores)
    write_inputs(tmp_path, **STRICT, backend={"name": request.param})
    run_train(tmp_path, "model")
    run_generate(tmp_path, "pairs")
    return tmp_path


def rows_in(folder):
    """Return the rows of a folder's tables without pixels, by pair index."""
    return {row["pair_index"]: row for row in read_manifest(sorted(folder.glob("*.parquet")), Pair).to_pylist()}


@pytest.mark.parametrize("only", [[LAST], [AGAIN, 0], [LAST, 2, LAST]], ids=str)
def test_a_pair_is_made_again_from_its_row_when_its_picture_is_lost(project, only):
    known, kept = rows_in(project / "pairs"), {pair.pair_index: pair for pair in pairs_in(project / "pairs")}
    assert [*known] == [0, 2, 3, 4, 5, 6, 7, LAST] and known[AGAIN]["attempts"] == 2
    for shard in (project / "pairs").glob("*.parquet"):
        shard.unlink()
    run_generate(project, "again", only)
    made = pairs_in(project / "again")
    assert [pair.pair_index for pair in made] == sorted({*only})
    assert rows_in(project / "again") == {index: known[index] for index in sorted({*only})}
    for pair in made:
        assert pair == kept[pair.pair_index]
        row, (image, mask) = known[pair.pair_index], (decode_image(pair.image), decode_mask(pair.mask))
        assert hashlib.sha256(image.tobytes()).hexdigest() == row["image_sha256"]
        assert hashlib.sha256((mask * 255).astype("uint8").tobytes()).hexdigest() == row["mask_sha256"]
        assert row_digest(row) == pair.row_sha256


def test_nothing_but_the_one_table_is_left(project):
    run_generate(project, "again", [2, LAST])
    assert [path.name for path in (project / "again").rglob("*")] == ["00000.parquet"]
    assert not any((project / ".work/generate").rglob("*.parquet"))


def test_the_command_line_takes_several(project, monkeypatch, capsys):
    names = ("masks", "samples", "normals", "prompts", "pretrained", "model")
    inputs = [f"--{name}={path}" for name, path in zip(names, INPUTS, strict=True)]
    of = ["--product=plate", "--defect=pit", "--source=plate", "--pairs=again", "--only", "4", "--only=2"]
    monkeypatch.setattr(sys, "argv", ["defectline", "generate", *inputs, *of])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    assert list(rows_in(project / "again")) == [2, 4]
    assert capsys.readouterr().out.endswith(": 2, 4\n")


@pytest.mark.parametrize("project", ["paste"], indirect=True)
class TestRefusals:
    @pytest.mark.parametrize("index", [MASKS, -1])
    def test_an_index_without_a_mask(self, project, index):
        with pytest.raises(DataError, match=rf"--only {index}: .*masks\.parquet has no row"):
            run_generate(project, "again", [0, index])
        assert not (project / "again").exists()

    def test_an_index_that_the_stage_rejected(self, project):
        with pytest.raises(DataError, match=r"plate/pit/1 was rejected \(label does not match the change\)"):
            run_generate(project, "again", [0, HOPELESS])
        assert not list((project / "again").glob("*.parquet"))

    def test_a_folder_with_tables_in_it(self, project):
        before = pairs_in(project / "pairs")
        with pytest.raises(DataError, match=r"pairs: there are tables in it"):
            run_generate(project, "pairs", [2])
        assert pairs_in(project / "pairs") == before


@pytest.mark.parametrize("project", ["paste"], indirect=True)
def test_other_shards_of_the_same_pairs_are_another_run(project):
    larger = {"generate": STRICT["generate"] | {"shard_pairs": 6}, "backend": {"name": "paste"}}
    write_settings(project, **SMALL | STRICT | larger)
    run_generate(project, "other")
    run_generate(project, "again", [5])
    assert pictures_in(project / "other") == pictures_in(project / "pairs")
    one, other = rows_in(project / "pairs")[5], rows_in(project / "other")[5]
    assert one["run_id"] != other["run_id"] and one["row_sha256"] != other["row_sha256"]
    assert rows_in(project / "again")[5] == other


@pytest.mark.parametrize("project", ["paste"], indirect=True)
def test_other_code_says_so(project, monkeypatch):
    (project / "package").mkdir()
    (project / "package/generate.py").write_text("paste = True\n")
    monkeypatch.setattr(work, "PACKAGE", project / "package")
    run_generate(project, "again", [5])
    one, other = rows_in(project / "pairs")[5], rows_in(project / "again")[5]
    assert {name for name in one if one[name] != other[name]} == {"code_revision", "run_id", "row_sha256"}
