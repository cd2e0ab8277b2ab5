"""Pairs made again by a version's own code: here a stand-in that copies the table which a test wants it to make."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from small_version import CATALOG, PAIRS, SmallVersion, made_pair

from pipeline_tasks.audit import tables
from pipeline_tasks.audit.regeneration import EDITED, LIKE_IT, regeneration_links
from pipeline_tasks.images.codec import encode_image, image_digest
from pipeline_tasks.provenance import sealed
from pipeline_tasks.schema import MaskRow, Pair
from pipeline_tasks.storage import write_rows

COMMAND = "defectline generate --product plate --pairs data/pairs/plate/pit --model data/models/plate"
COPIES = """
import pathlib, shutil, sys, yaml
words = sys.argv
assert words[1:3] == ["generate", "--product"] and "--only" in words, words
precision = yaml.safe_load(pathlib.Path("params.yaml").read_text())["generate"]["precision"]
table = pathlib.Path(f"{precision}.parquet")
pairs = pathlib.Path(words[words.index("--pairs") + 1])
shutil.copy(table if table.exists() else "made.parquet", pairs / "00000.parquet")
"""


class Remade(SmallVersion):
    """A version whose code makes what `made` says; it may also be another `program`."""

    def __init__(self, root):
        super().__init__(root)
        self.commands["generate@plate-pit"] = COMMAND
        self.made = {"made": (Pair, [made_pair(index) for index in (0, 1, 3)])}
        self.program = COPIES

    def links(self, number=9, *, on_gpu=False, distrusted=None):
        ground = self.ground()
        code = ground.tree / "pipeline_tasks/__main__.py"
        code.parent.mkdir(exist_ok=True)
        code.write_text(self.program)
        for name, (kind, rows) in self.made.items():
            write_rows(ground.tree / f"{name}.parquet", rows, kind)
        return list(regeneration_links(ground, CATALOG, number, on_gpu, distrusted))

    def first(self, **options):
        return next(link for link in self.links(**options) if link.name == "pair plate/pit/000000 made again")

    def makes(self, row, name="made"):
        self.made[name] = Pair, [row, made_pair(1), made_pair(3)]


@pytest.fixture
def version(tmp_path):
    return Remade(tmp_path)


def rounded(levels=3, **values):
    image = cv2.imdecode(np.frombuffer(made_pair(0).image, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].copy()
    image[22:26, 22:26] += np.uint8(levels)
    return made_pair(0, image=encode_image(image), image_sha256=image_digest(image), **values)


def test_the_same_pairs_hold(version):
    links = version.links()
    assert [link.name for link in links] == [f"pair plate/pit/00000{i} made again" for i in (0, 1, 3)]
    assert {(link.verdict, link.found) for link in links} == {
        ("ok", "the same in every column, image and mask byte for byte")
    }
    assert len(version.links(2)) == 2


def test_later_code_may_make_the_same_pair(version):
    version.makes(made_pair(0, code_revision="d" * 40, run_id="e"))
    told = "image and mask byte for byte the same, made by later code (dddddddddddd)"
    assert (version.first().verdict, version.first().found) == ("ok", told)


@pytest.mark.parametrize("on_gpu", [True, False])
def test_another_encoder_of_the_same_pixels_holds(version, on_gpu):
    pixels = cv2.imdecode(np.frombuffer(made_pair(0).image, np.uint8), cv2.IMREAD_COLOR)
    png = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()
    assert png != made_pair(0).image
    version.makes(made_pair(0, image=png))
    link = version.first(on_gpu=on_gpu)
    assert (link.verdict, link.found) == ("ok", "the same pixels; PNG bytes of another encoder")
    version.makes(made_pair(0, image=png, code_revision="d" * 40, run_id="e"))
    assert version.first().found.endswith("of another encoder, made by later code (dddddddddddd)")


@pytest.mark.parametrize(("on_gpu", "verdict", "remedy"), [(True, "ok", ""), (False, "unchecked", LIKE_IT)])
def test_rounding_of_other_hardware_is_tolerated_on_a_gpu_alone(version, on_gpu, verdict, remedy):
    version.makes(rounded(alignment=0.92))
    link = version.first(on_gpu=on_gpu)
    assert (link.verdict, link.remedy) == (verdict, remedy)
    assert link.found.startswith("its image differs by 0.021 grey levels in the mean, 3 at most: within the rounding")
    assert link.found.endswith("(alignment, image_sha256, image)")


@pytest.mark.parametrize("on_gpu", [True, False])
def test_an_edited_column_is_broken_however_the_image_is_rounded(version, on_gpu):
    version.makes(rounded(seed=8, prompt="another"))
    link = version.first(on_gpu=on_gpu)
    told = "other than before: seed, prompt, row_sha256"
    assert (link.verdict, link.found, link.remedy) == ("broken", told, EDITED)


def test_an_image_beyond_rounding_is_broken(version):
    version.makes(rounded(levels=30))
    link = version.first(on_gpu=True)
    assert link.verdict == "broken"
    assert link.found.startswith("its image differs by 0.208 grey levels in the mean, 30 at most; other than before: ")


def test_a_pair_that_is_not_made_is_broken(version):
    version.made["made"] = Pair, [made_pair(1), made_pair(3)]
    assert (version.first().verdict, version.first().found) == (
        "broken",
        "the command ended well, and made no such pair",
    )


@pytest.mark.parametrize(
    ("program", "verdict", "told"),
    [
        ("raise ModuleNotFoundError(\"No module named 'torch'\")", "unchecked", "No module named 'torch'"),
        ("raise ValueError('a library refuses')", "unchecked", "ValueError: a library refuses"),
        ("import sys; sys.exit('│ No such option: --only │')", "unchecked", "No such option: --only"),
        ("import sys; sys.exit('error: the model is damaged')", "broken", "error: the model is damaged"),
        ("import sys; print('error: disk full', file=sys.stderr); sys.exit(75)", "unchecked", "error: disk full"),
        ("import sys; sys.exit('error: device is cuda but PyTorch sees no GPU here')", "unchecked", "no GPU"),
        ("import os; os.kill(os.getpid(), 9)", "unchecked", "ended with status -9"),
        ("import sys; sys.exit('a library says: error: no')", "unchecked", "a library says"),
    ],
)
def test_only_what_the_versions_own_code_refuses_is_broken(version, program, verdict, told):
    version.program = program
    links = version.links()
    assert {link.verdict for link in links} == {verdict} and all(told in link.found for link in links)


@pytest.mark.parametrize(
    "command",
    [
        "defectline generate --product plate",
        "defectline generate --pairs",
        "defectline generate 'unclosed --pairs x",
        "defectline publish --pairs x",
        "touch --pairs x",
        ["defectline generate --pairs x"],
        None,
    ],
)
def test_a_recorded_command_that_makes_no_pairs_is_not_run(version, command):
    version.commands["generate@plate-pit"] = command
    version.program = "raise SystemExit('it was run')"
    told = "dvc.lock: the command of generate@plate-pit is no `defectline generate` with --pairs"
    assert {(link.verdict, link.found) for link in version.links()} == {("unchecked", told)}


def test_code_that_is_distrusted_is_not_run(version, tmp_path):
    version.program = f"open({str(tmp_path / 'run')!r}, 'w')"
    (link,) = version.links(distrusted="the tag was moved")
    assert (link.name, link.verdict) == ("pairs made again", "unchecked")
    assert link.found == "its code was not run: the tag was moved" and not (tmp_path / "run").exists()


def test_inputs_do_not_land_outside_of_the_tree(version):
    ground = version.ground()
    stage = ground.lock.stages["generate@plate-pit"]
    stage["deps"] = [{"path": "../stolen", "md5": ground.lock.output("masks@plate-pit").md5}]
    (link, *_) = regeneration_links(ground, CATALOG, 1, False, None)
    assert link.verdict == "unchecked" and "../stolen: outside of the repository" in link.found
    assert not (version.root / "stolen").exists()


def test_parts_are_not_fetched_to_make_a_pair_again(version):
    ground = version.ground()
    ground.lock.stages["generate@plate-pit"]["deps"] = [{"path": "data/parts/plate/pit", "md5": "0" * 32}]
    links = list(regeneration_links(ground, CATALOG, 9, False, None))
    assert "data/parts" not in " ".join(link.found for link in links) and not (ground.tree / "data/parts").exists()


def test_inputs_that_cannot_be_had_are_told(version):
    ground = version.ground()
    ground.lock.stages["generate@plate-pit"]["deps"] = [{"path": "data/models/plate", "md5": "0" * 32}]
    (link, *_) = regeneration_links(ground, CATALOG, 1, False, None)
    assert link.verdict == "unchecked" and "the inputs of generate@plate-pit cannot be had: the remote" in link.found


def test_pairs_of_another_time_are_left_to_the_code_of_that_time(version):
    version.made["made"] = MaskRow, []
    assert {(link.verdict, link.remedy) for link in version.links()} == {("unchecked", tables.OWN_CODE)}
    version.tables[f"{PAIRS}/00000.parquet"] = MaskRow, []
    (link,) = version.links()
    assert (link.name, link.verdict, link.remedy) == ("pairs made again", "unchecked", tables.OWN_CODE)


def test_a_lock_without_the_pairs_is_unchecked(version):
    ground = version.ground()
    del ground.lock.stages["generate@plate-pit"]
    (link,) = regeneration_links(ground, CATALOG, 1, False, None)
    assert link.verdict == "unchecked" and "no output" in link.found


def test_a_pair_of_another_precision_is_made_in_its_own(version):
    here = "b" * 64
    version.makes(sealed(replace(rounded(levels=60), backend_digest=here)))
    version.made["float32"] = version.made["made"]
    version.makes(made_pair(0, run_id="e" * 64), "bfloat16")
    version.sections["generate"] = {"precision": "auto"}
    link = version.first()
    told = "made in a precision that is not this machine's; the same in every column, image and mask byte for byte"
    assert (link.verdict, link.found) == ("ok", told)
    version.makes(rounded(levels=60), "bfloat16")
    assert (version.first().verdict, version.first().remedy) == ("unchecked", LIKE_IT)
    assert "precision: auto" in (version.root / "tree/params.yaml").read_text()


def test_a_generator_that_is_the_pairs_in_no_precision_is_broken(version):
    version.makes(made_pair(0, backend_digest="b" * 64))
    for precision in ("auto", "float32"):
        version.sections["generate"] = {"precision": precision}
        link = version.first(on_gpu=True)
        assert (link.verdict, link.found) == ("broken", "other than before: backend_digest, row_sha256")


def test_a_generator_of_another_digest_is_broken_where_the_precision_is_given(version):
    version.makes(made_pair(0, backend_digest="b" * 64))
    version.makes(made_pair(0), "bfloat16")
    version.sections["generate"] = {"precision": "float32"}
    assert version.first().verdict == "broken"
